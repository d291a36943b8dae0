"""A paired difference from its resamples: percentiles that are taken farther out the fewer patients there are.

Resampling n patients gives a spread that is too small by the root of (n - 1) / n, and percentiles of a normal shape
where Student's t would be right. With few patients equal families are therefore told apart too often: with twelve in
7.9 % of studies instead of 5 % (`benchmarks/comparisons.py`). So a level is exchanged for the share of resamples
that t with n - 1 degrees of freedom, stretched by that root, leaves out of a normal curve. Where not even one resample
lies so far out, they cannot say how far it is, and t itself does, from the farthest of them on.

Assumes: patients are independent; the difference is about normal.

Reference: Hesterberg, The American Statistician 69:371 (2015), the expanded percentile interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from grandrounds.evaluate.bootstrap import interval, p_value


def interval_of(differences: NDArray[np.float64], estimate: float, n: int, level: float = 0.05) -> tuple[float, float]:
    """Return the interval that leaves out `level`; it excludes 0 where `p_of` is at most the level.

    Args:
        differences: (R,) resamples; undefined ones do not count.
        estimate: The difference itself.
        n: Patients on whom it rests, see `Carriers.carried`.
        level: What is left out.
    """
    defined = differences[~np.isnan(differences)]
    expanded = farther(level, n)
    if not len(defined) or expanded / 2 * (len(defined) + 1) >= 1:
        return interval(defined, expanded)
    half = float(stdtrit(max(n, 2) - 1, 1 - level / 2)) * _spread(defined, n)
    return min(estimate - half, float(defined.min())), max(estimate + half, float(defined.max()))


def p_of(differences: NDArray[np.float64], estimate: float, n: int) -> float:
    """Return the two-sided p of no difference; NaN where no resample is defined. Arguments as for `interval_of`."""
    defined = differences[~np.isnan(differences)]
    p = nearer(p_value(defined), n)
    if not len(defined) or min((defined <= 0).sum(), (defined >= 0).sum()):
        return p
    spread = _spread(defined, n)
    return min(p, float(2 * stdtr(max(n, 2) - 1, -abs(estimate) / spread))) if spread > 0 else p


def farther(level: float, n: int) -> float:
    """Return the level at which percentiles of resamples leave out what they should of so few patients.

    >>> round(farther(0.05, 12), 4), round(farther(0.05, 10_000), 4)
    (0.0215, 0.05)
    """
    n = max(n, 2)
    return float(2 * ndtr(stdtrit(n - 1, level / 2) * np.sqrt(n / (n - 1))))


def nearer(p: float, n: int) -> float:
    """Return the p of which `farther` makes the resamples' own.

    >>> round(nearer(farther(0.03, 20), 20), 6)
    0.03
    """
    n = max(n, 2)
    return float(2 * stdtr(n - 1, ndtri(p / 2) * np.sqrt((n - 1) / n)))


def _spread(differences: NDArray[np.float64], n: int) -> float:
    return float(differences.std() * np.sqrt(max(n, 2) / (max(n, 2) - 1)))
