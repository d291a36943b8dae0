"""The comparisons table: every pair of families on the primary metric, paired and corrected for their number.

Holm's procedure orders the m pairs by p. Rank j (from 1) is tested at 0.05 / (m - j + 1) until the first that fails;
that one and all after it are judged at the level where it stopped. The interval of a pair leaves out exactly the level
of its own test, so it excludes 0 if and only if the adjusted p is at most 0.05. *Better* and *worse* mean that it
excludes 0; *equivalent* that it lies inside the margin on both sides; all else is *undecided*.

Assumes: as the bootstrap, that patients are independent and the fitted models are given.

Reference: Holm, Scandinavian Journal of Statistics 6:65 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.evaluate.bounds import of_paired
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.contrast import DECIDING
from grandrounds.evaluate.differences import p_of
from grandrounds.evaluate.pairs import Pair

ALPHA = 0.05


def compare(cohort: Cohort, pairs: Sequence[Pair], primary: MetricEntry, margin: float) -> pl.DataFrame:
    """Return the comparisons table on the primary metric; its column `error` is the standard error of a difference.

    It is null where the resamples cannot tell: where none differs, or where a handful of patients carry the metric.

    Args:
        cohort: What was judged.
        pairs: Its families side by side, see `paired`.
        primary: The metric.
        margin: Differences within this much, in units of the metric, count as equal.
    """
    raw = [_p(pair, primary) for pair in pairs]
    rows = []
    for pair, adjusted, level in zip(pairs, holm(raw), holm_levels(raw), strict=True):
        low, high = of_paired(primary, pair.one, pair.other, pair.n, level)
        rows.append(
            {
                "family_a": pair.a, "family_b": pair.b, "task": cohort.task.name, "metric": primary.name,
                "unit": cohort.unit, "difference": pair.estimate, "low": low, "high": high, "p_adjusted": adjusted,
                "verdict": judged(low, high, adjusted, margin, 1 if primary.better == "higher" else -1),
                "method": DECIDING, "error": float(np.nanstd(pair.differences)) if pair.has_error else None,
            }
        )  # fmt: skip
    frame = pl.DataFrame(rows, schema=dict(tables.COMPARISONS.columns) | {"error": pl.Float64()})
    return tables.check(frame.with_columns(pl.col(pl.Float64).fill_nan(None)), tables.COMPARISONS)


def _p(pair: Pair, primary: MetricEntry) -> float:
    """Return the p of a pair; where no draw differs its interval alone says whether there is a difference at all."""
    if pair.known and not pair.varies:
        low, high = of_paired(primary, pair.one, pair.other, pair.n, ALPHA)
        if low <= 0 <= high:
            return 1.0
    return p_of(pair.differences, pair.estimate, pair.n)


def judged(low: float, high: float, p_adjusted: float, margin: float, sign: int) -> str:
    """Return "better", "worse", "equivalent" or "undecided": a against b.

    Args:
        low: Of the difference a minus b.
        high: Of the same interval.
        p_adjusted: Of the same test; with few resamples an interval may exclude 0 without being significant.
        margin: Half the width of what counts as equal.
        sign: 1 where higher values of the metric are better, -1 where lower ones are.

    >>> judged(0.01, 0.05, 0.01, 0.02, 1), judged(-0.01, 0.01, 1.0, 0.02, 1), judged(-0.01, 0.05, 0.3, 0.02, 1)
    ('better', 'equivalent', 'undecided')
    """
    if p_adjusted <= ALPHA and (low > 0 or high < 0):
        return "better" if low * sign > 0 else "worse"
    return "equivalent" if -margin < low and high < margin else "undecided"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p, in the order given; NaN stays and counts as a test.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [float("nan")] * len(p_values), 0.0
    for rank, at in enumerate(_ranked(p_values)):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = highest
    return adjusted


def holm_levels(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """Return the level at which Holm's procedure judges each test, in the order given.

    >>> holm_levels([0.001, 0.04, 0.03], alpha=0.05)
    [0.016666666666666666, 0.025, 0.025]
    """
    levels, level, stopped = [alpha / max(len(p_values), 1)] * len(p_values), alpha, False
    for rank, at in enumerate(_ranked(p_values)):
        if not stopped:
            level = alpha / (len(p_values) - rank)
            stopped = p_values[at] > level
        levels[at] = level
    return levels


def _ranked(p_values: Sequence[float]) -> list[int]:
    defined = [at for at, p in enumerate(p_values) if p == p]  # noqa: PLR0124  (NaN is what differs from itself)
    return sorted(defined, key=lambda at: p_values[at])
