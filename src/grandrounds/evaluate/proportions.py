"""Exact and nearly exact intervals of a share, where every patient counts once.

For small sets, and shares near 0 or 1, where a bootstrap has too few different resamples. Wilson's interval is right on
average over shares; Clopper and Pearson's never covers less than it says, and is wider for that.

Assumes: rows are independent, therefore at most one of each patient.

Reference: Wilson, JASA 22:209 (1927); Clopper & Pearson, Biometrika 26:404 (1934); Brown, Cai & DasGupta, Statistical
Science 16:101 (2001).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from grandrounds.errors import BadData


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval; all NaN where there is no row.

    Args:
        estimate: Hits by rows.
        low: Of the interval.
        high: Of the interval.
        n: Rows, each of another patient.
    """

    estimate: float
    low: float
    high: float
    n: int


def wilson(hits: NDArray[np.bool_], patients: Collection[object], level: float = 0.05) -> Share:
    """Return the share of hits with Wilson's score interval.

    Args:
        hits: (N,) whether each row counts, for example whether a positive sample was called so.
        patients: (N,) whose row it is.
        level: What the interval leaves out.

    Raises:
        BadData: A patient has several rows.

    >>> share = wilson(np.array([True] * 9 + [False]), range(10))
    >>> round(share.low, 3), round(share.high, 3)
    (0.596, 0.982)
    """
    k, n = _counted(hits, patients)
    if not n:
        return Share(np.nan, np.nan, np.nan, 0)
    z = float(ndtri(1 - level / 2))
    middle = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * float(np.sqrt(k * (n - k) / n + z**2 / 4))
    return Share(k / n, max(0.0, middle - half) if k else 0.0, min(1.0, middle + half) if k < n else 1.0, n)


def clopper_pearson(hits: NDArray[np.bool_], patients: Collection[object], level: float = 0.05) -> Share:
    """Return the share of hits with Clopper and Pearson's interval; arguments and errors as for `wilson`.

    >>> clopper_pearson(np.array([], dtype=bool), []).n
    0
    """
    k, n = _counted(hits, patients)
    if not n:
        return Share(np.nan, np.nan, np.nan, 0)
    low = float(betaincinv(k, n - k + 1, level / 2)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - level / 2)) if k < n else 1.0
    return Share(k / n, low, high, n)


def _counted(hits: NDArray[np.bool_], patients: Collection[object]) -> tuple[int, int]:
    """Return hits and rows, after a look at whose they are."""
    if len(hits) != len(patients):
        raise BadData(f"{len(hits)} rows and {len(patients)} patients do not go together")
    repeated = len(patients) - len(set(patients))
    if repeated:
        raise BadData(
            f"{repeated} of {len(hits)} rows are of a patient who has another one: this interval would be too short",
            remedy="use the patient-clustered bootstrap, or keep one row for each patient",
        )
    return int(np.count_nonzero(hits)), len(hits)
