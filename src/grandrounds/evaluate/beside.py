"""The intervals table: what other methods say of the scores, beside the interval that stands in the scores table.

Percentiles and BCa for whatever is resampled; DeLong's, clustered by patient, for the AUC; Wilson's and Clopper and
Pearson's for shares, where every patient is one row and there is one run; and for the overall values the spread over
folds and over seeds, apart from any sampling error, with an interval for training anew (Nadeau & Bengio).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate import delong, retraining
from grandrounds.evaluate.bca import bca
from grandrounds.evaluate.bootstrap import Column, Replicates, interval, left_out
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.proportions import clopper_pearson, wilson

PERCENTILES, BCA, DELONG = "percentiles", "BCa", "DeLong, clustered (Obuchowski)"
WILSON, CLOPPER_PEARSON = "Wilson", "Clopper-Pearson"
FOLDS, SEEDS, ANEW = "spread over folds", "spread over seeds", "training anew (Nadeau-Bengio)"
_SHARES: dict[str, Callable[[Group, int], tuple[NDArray[np.bool_], NDArray[np.bool_]]]] = {
    # of which rows, and which of them count
    "accuracy": lambda one, _: (np.ones_like(one.label, dtype=bool), _called(one) == one.label),
    "recall": lambda one, klass: (one.label == klass, _called(one) == klass),
    "specificity": lambda one, klass: (one.label != klass, _called(one) != klass),
    "precision": lambda one, klass: (_called(one) == klass, one.label == klass),
    "npv": lambda one, klass: (_called(one) != klass, one.label != klass),
}

_Row = dict[str, Any]


def beside(cohort: Cohort, replicates: Replicates, n_valid: float) -> pl.DataFrame:
    """Return the intervals table.

    Args:
        cohort: What was judged.
        replicates: Its resamples of every metric; reused, not drawn again.
        n_valid: Patients of valid in a fold, on average: they are not trained on.
    """
    without = left_out(cohort)  # (F, M, G)
    rows: list[_Row] = []
    for place, family in enumerate(replicates.families):
        groups = cohort.of(family)
        for at, column in enumerate(replicates.columns):
            estimate, values = float(replicates.estimate[place, at]), replicates.values[place, at]
            low, high = bca(estimate, values, without[place, at])
            found = [
                *_percentiles(column, estimate, values),
                {"method": BCA, "estimate": estimate, "low": low, "high": high},
                *_delong(cohort, family, column),
                *_shares(cohort, groups, column),
            ]
            if column.label is None:
                of_groups = replicates.by_group[place][:, list(column.cells)].mean(axis=1)
                # A fold that a family lacks was tested by others, and its patients were trained on in its other folds.
                ratio = retraining.tested_to_trained((*cohort.groups, *groups), n_valid)
                found += _trained(groups, of_groups, ratio, column.entry)
            of = {"family": family, "metric": column.entry.name, "label": column.label}
            rows += [of | row for row in found]
    frame = pl.DataFrame(rows, schema_overrides=dict(tables.INTERVALS.columns))
    numbers = pl.col(pl.Float64)
    frame = frame.with_columns(pl.when(numbers.is_finite()).then(numbers))
    return tables.check(
        frame.with_columns(task=pl.lit(cohort.task.name), unit=pl.lit(cohort.unit)), tables.INTERVALS
    )  # fmt: skip


def _percentiles(column: Column, estimate: float, values: NDArray[np.float64]) -> Iterator[_Row]:
    if not column.entry.by_percentiles and not math.isnan(estimate):  # of the others they are what is shown
        low, high = interval(values)
        yield {"method": PERCENTILES, "estimate": estimate, "low": low, "high": high}


def _delong(cohort: Cohort, family: str, column: Column) -> Iterator[_Row]:
    label = column.label or positive_of(cohort.task)
    if column.entry.name == "auc" and label is not None:
        found = delong.pooled(cohort, (family,), cohort.task.classes.index(label))
        low, high = delong.interval(found, 0)
        error = math.sqrt(found.covariance[0, 0]) if found.covariance[0, 0] >= 0 else math.nan
        yield {"method": DELONG, "estimate": float(found.auc[0]), "low": low, "high": high, "error": error}


def _shares(cohort: Cohort, groups: tuple[Group, ...], column: Column) -> Iterator[_Row]:
    if column.entry.name not in _SHARES or len(groups) > 1 or len(np.unique(groups[0].patient)) < len(groups[0].label):
        return
    klass = cohort.task.classes.index(column.label) if column.label is not None else 0
    of, hits = _SHARES[column.entry.name](groups[0], klass)
    for method, exact in ((WILSON, wilson), (CLOPPER_PEARSON, clopper_pearson)):
        share = exact(hits[of], groups[0].patient[of].tolist())
        yield {"method": method, "estimate": share.estimate, "low": share.low, "high": share.high, "n": share.n}


def _trained(
    groups: tuple[Group, ...], values: NDArray[np.float64], ratio: float, entry: MetricEntry
) -> Iterator[_Row]:
    yield {"method": FOLDS, **asdict(retraining.over_folds(groups, values))}
    yield {"method": SEEDS, **asdict(retraining.over_seeds(groups, values))}
    found = retraining.anew(groups, values, ratio)
    note = f"patients tested by patients trained: {ratio:.2f}"
    if math.isnan(ratio) or found.n < 2:
        note = "cannot be estimated: it takes two folds or more that divide the patients"
    ends = np.clip([found.low, found.high], *entry.scale)  # a t-interval knows no bounds
    yield {"method": ANEW, **asdict(found), "low": float(ends[0]), "high": float(ends[1]), "note": note}


def _called(group: Group) -> NDArray[np.int64]:
    return np.asarray(group.probs.argmax(axis=1))
