"""Bias-corrected and accelerated intervals, from the resamples that the percentile interval uses.

The percentiles are moved: by how far the estimate lies from the middle of its resamples, and by how fast its error
changes with its value. The latter comes from leaving out patients in turn; beyond 256 patients, groups of them.

Assumes: as the bootstrap. BCa earns its keep where a metric is skewed, such as an AUC near 1; with few patients its
percentiles lie so far out that it takes more resamples than the plain ones, and it may cover less.

Reference: Efron, JASA 82:171 (1987); Davison & Hinkley, Bootstrap Methods and their Application (1997), §5.3.2; Shao &
Tu, The Jackknife and Bootstrap (1995), §2.3, for groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

MOST_GROUPS = 256


def n_groups(n_patients: int) -> int:
    """Return how many groups of patients are left out in turn."""
    return min(n_patients, MOST_GROUPS)


def leaving_out(n_patients: int, groups: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return weightings that leave out some of the groups in turn, (P, groups).

    >>> leaving_out(3, np.arange(3)).tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    return np.asarray(np.arange(n_patients)[:, None] % n_groups(n_patients) != groups, dtype=np.uint8)


def bca(
    estimate: float, values: NDArray[np.float64], left_out: NDArray[np.float64], level: float = 0.05
) -> tuple[float, float]:
    """Return the interval that leaves out `level`; NaN where the estimate, or its change, is not finite.

    Args:
        estimate: Under weights of 1.
        values: (R,) under the draws; undefined ones do not count.
        left_out: (G,) with each of the groups left out; undefined ones do not count.
        level: What the interval leaves out.
    """
    drawn, around = np.sort(values[~np.isnan(values)]), left_out[~np.isnan(left_out)]
    if not (np.isfinite(estimate) and len(drawn) and len(around) and np.isfinite(around).all()):
        return np.nan, np.nan
    below = ((drawn < estimate).sum() + 0.5 * (drawn == estimate).sum()) / len(drawn)
    pulls = around.mean() - around
    spread = (pulls**2).sum()
    if not 0 < below < 1 or spread == 0:
        return np.nan, np.nan
    shift, speed = ndtri(below), (pulls**3).sum() / (6 * spread**1.5)
    low, high = (_moved(tail, shift, speed) for tail in (level / 2, 1 - level / 2))
    # As in `bootstrap.interval`: the k-th smallest and the k-th largest, rounded outwards.
    k_low, k_high = (max(int(share * (len(drawn) + 1) + 1e-9), 1) for share in (low, 1 - high))
    return float(drawn[min(k_low, len(drawn)) - 1]), float(drawn[-min(k_high, len(drawn))])


def _moved(tail: float, shift: float, speed: float) -> float:
    """Return the share of the resamples below a bound that is meant to leave out `tail` below it."""
    z = shift + ndtri(tail)
    return float(ndtr(shift + z / (1 - speed * z)))
