"""The scores table: each metric of each family with its interval, and why it is undefined where it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate.bootstrap import Column, Replicates
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.sandwich import sandwich
from grandrounds.wording import percent

# How an interval came from resamples, in the column `method`.
PERCENTILE, ON_LOG_ODDS, FROM_CHANCE, FROM_RATES, FROM_CLASSES = (
    "percentile", "t on log odds", "from chance up", "from those of two shares", "from those of the classes",
)  # fmt: skip


_NO_MATTER = 0.001  # share of resamples; fewer that are undefined move no bound


class _Value(NamedTuple):
    metric: str
    label: str | None
    estimate: float
    low: float
    high: float
    method: str
    note: str | None


def score(
    cohort: Cohort,
    replicates: Replicates,
    *,
    method: str,
    refitted: Sequence[MetricEntry] = (),
    refitted_method: str = "cluster-sandwich error, t",
) -> pl.DataFrame:
    """Return the scores table: intervals of 95 %, of each metric as `bounds` says.

    An infinite number is null and its note says so; the other bound stands.

    Args:
        cohort: What was judged.
        replicates: Its resamples.
        method: How the intervals came about, in words.
        refitted: Further metrics, whose intervals come from their `influence`.
        refitted_method: How those came about.
    """
    rows = []
    for place, family in enumerate(replicates.families):
        groups = cohort.of(family)
        common = {
            "family": family, "task": cohort.task.name, "unit": cohort.unit, "slice": "all",
            "n_patients": len(np.unique(np.concatenate([group.patient for group in groups]))),
            "n_samples": len({name for group in groups for name in group.sample}),
        }  # fmt: skip
        values = [*_resampled(cohort, replicates, place, method)]
        for entry in refitted:
            values += _refitted(cohort, family, entry, refitted_method)
        rows += [common | value._asdict() for value in values]
    frame = pl.DataFrame(rows, schema=dict(tables.SCORES.columns))
    numbers = pl.col("estimate", "low", "high")
    return tables.check(frame.with_columns(pl.when(numbers.is_finite()).then(numbers)), tables.SCORES)


def _resampled(cohort: Cohort, replicates: Replicates, place: int, method: str) -> Iterator[_Value]:
    family = replicates.families[place]
    carriers = Carriers.of(cohort, family)
    for at, column in enumerate(replicates.columns):
        estimate, values = replicates.estimate[place, at], replicates.values[place, at]
        low, high = bounds(replicates, place, at, carriers)
        measured = replicates.by_group[place][:, list(column.cells)]  # (groups, classes)
        parts = list[str]()
        if column.entry.ratio is None or not math.isfinite(estimate):  # a ratio is not averaged over folds
            parts += _gaps(cohort, family, column.entry, _labels(cohort, column), measured)
        parts += lost(values)
        if math.isinf(high):
            parts.append(f"no upper bound: infinite in {percent(np.isinf(values).mean(), 1)} of the resamples")
        how = method.replace(PERCENTILE, _made(column))
        yield _Value(column.entry.name, column.label, estimate, low, high, how, ". ".join(parts) or None)


def lost(values: NDArray[np.float64]) -> Iterator[str]:
    """Yield in how many resamples (R,) a number is undefined, where some are and some are not."""
    share = float(np.isnan(values).mean()) if len(values) else 0.0
    if _NO_MATTER <= share < 1:
        yield f"undefined in {percent(share, 1)} of the resamples, which the interval leaves out"


def _made(column: Column) -> str:
    """Return how the interval of a number comes from its resamples."""
    entry = column.entry
    if entry.by_percentiles:
        return PERCENTILE
    if entry.by_chance:
        return FROM_CHANCE
    if entry.ratio or entry.balance:
        return FROM_RATES
    return FROM_CLASSES if column.mean_of else ON_LOG_ODDS


def _refitted(cohort: Cohort, family: str, entry: MetricEntry, method: str) -> Iterator[_Value]:
    found = sandwich(cohort, family, entry)
    for at, label in enumerate(cohort.task.classes):
        estimate, half = found.estimate[at], found.half_width[at]
        note = ". ".join(_gaps(cohort, family, entry, (label,), found.by_group[:, [at]])) or None
        yield _Value(entry.name, label, estimate, estimate - half, estimate + half, method, note)


def _gaps(
    cohort: Cohort, family: str, entry: MetricEntry, labels: Sequence[str], measured: NDArray[np.float64]
) -> Iterator[str]:
    """Yield in how many folds a number is undefined or infinite and why; `measured` is (groups, classes)."""
    runs = "folds" if len(cohort.cells(family)) == len(measured) else "runs of fold and seed"
    gap: NDArray[np.bool_]
    for word, gap, why in (
        ("undefined", np.isnan(measured), entry.undefined),
        ("infinite", np.isinf(measured), entry.infinite),
    ):
        reasons = [why.format(label=label) for label, some in zip(labels, gap.T, strict=True) if some.any()]
        if reasons:
            yield f"{word} in {gap.any(axis=1).sum()} of {len(measured)} {runs}: {'; '.join(reasons)}"


def _labels(cohort: Cohort, column: Column) -> tuple[str, ...]:
    if column.label is not None:
        return (column.label,)
    if len(column.cells) == len(cohort.task.classes):
        return cohort.task.classes
    return (positive_of(cohort.task) or "",)
