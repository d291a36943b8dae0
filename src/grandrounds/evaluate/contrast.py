"""A difference as every method of comparing states it, and which of the methods decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

DECIDING = "paired clustered bootstrap"  # the method whose verdicts count; others stand beside it


@dataclass(frozen=True, slots=True)
class Contrast:
    """A number with its interval and the two-sided p of its being 0; NaN where a method has none."""

    estimate: float
    low: float
    high: float
    p: float


def normal(estimate: float, variance: float, level: float) -> Contrast:
    """Return an estimate with its normal interval that leaves out `level`, and its p.

    Two families that rank alike, and one that ranks without an error, have no spread. That is not certainty: interval
    and p are then NaN.
    """
    if not variance > 0:
        return Contrast(estimate, np.nan, np.nan, np.nan)
    error = np.sqrt(variance)
    half = float(ndtri(1 - level / 2) * error)
    return Contrast(estimate, estimate - half, estimate + half, float(2 * ndtr(-abs(estimate) / error)))


def decisive(comparisons: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a comparisons table that decide; rows that name no method do."""
    return comparisons.filter(pl.col("method").fill_null(DECIDING) == DECIDING)


def judged(scores: pl.DataFrame, comparisons: pl.DataFrame) -> pl.DataFrame:
    """Return the scores of all cases together at the level at which families were compared.

    That is the level of the comparisons. One family alone is compared with nobody; then it is the level of the first
    row, since the judge writes the declared level first.

    Args:
        scores: Table `scores`.
        comparisons: Table `comparisons` of the same role.
    """
    unit = next((one for frame in (decisive(comparisons), scores) for one in frame["unit"].drop_nulls()[:1]), None)
    whole = pl.col("slice").fill_null("all") == "all"
    return scores.filter(whole if unit is None else whole & (pl.col("unit").fill_null(unit) == unit))
