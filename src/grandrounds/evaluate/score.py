"""The scores table: each metric of each family with its interval, and why it is undefined where it is."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate.bootstrap import Column, Replicates, interval
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.cohort import Cohort


def score(cohort: Cohort, replicates: Replicates, *, method: str) -> pl.DataFrame:
    """Return the scores table: percentile intervals of 95 %.

    Args:
        cohort: What was judged.
        replicates: Its resamples.
        method: How the intervals came about, in words.
    """
    rows = []
    for place, family in enumerate(replicates.families):
        groups = cohort.of(family)
        n_patients = len(np.unique(np.concatenate([group.patient for group in groups])))
        n_samples = len({name for group in groups for name in group.sample})
        for at, column in enumerate(replicates.columns):
            estimate, values = replicates.estimate[place, at], replicates.values[place, at]
            low, high = interval(values) if not math.isnan(estimate) else (np.nan, np.nan)
            rows.append(
                {
                    "family": family, "task": cohort.task.name, "metric": column.entry.name, "label": column.label,
                    "unit": "sample", "slice": "all", "estimate": estimate, "low": low, "high": high,
                    "method": method, "n_patients": n_patients, "n_samples": n_samples,
                    "note": _note(cohort, replicates, place, column, values),
                }
            )  # fmt: skip
    frame = pl.DataFrame(rows, schema=dict(tables.SCORES.columns))
    return tables.check(frame.with_columns(pl.col("estimate", "low", "high").fill_nan(None)), tables.SCORES)


def _note(
    cohort: Cohort,
    replicates: Replicates,
    place: int,
    column: Column,
    values: NDArray[np.float64],
) -> str | None:
    """Return in how many folds and resamples a number is undefined and why, None where it never is."""
    measured: NDArray[np.bool_] = np.isnan(replicates.by_group[place][:, list(column.cells)])  # (groups, classes)
    parts = []
    if measured.any():
        runs = "folds" if len(cohort.cells(replicates.families[place])) == len(measured) else "runs of fold and seed"
        reasons = [
            column.entry.undefined.format(label=label)
            for label, missing in zip(_labels(cohort, column), measured.T, strict=True)
            if missing.any()
        ]
        parts.append(f"undefined in {measured.any(axis=1).sum()} of {len(measured)} {runs}: {'; '.join(reasons)}")
    lost = np.isnan(values).mean() if len(values) else 0.0
    if 0 < lost < 1:
        parts.append(f"undefined in {lost:.1%} of the resamples, which the interval leaves out")
    return ". ".join(parts) or None


def _labels(cohort: Cohort, column: Column) -> tuple[str, ...]:
    if column.label is not None:
        return (column.label,)
    if len(column.cells) == len(cohort.task.classes):
        return cohort.task.classes
    return (positive_of(cohort.task) or "",)
