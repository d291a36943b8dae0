"""Who calls more cases right: McNemar's test, exact where every patient is one row, else clustered by patient.

Only rows that one family calls right and the other wrong count. Where every patient stands behind one row the split of
those rows is binomial with a half, and the test is exact. Otherwise the rows of a patient (all samples, folds, repeats
and seeds) are one cluster: the shares of its rows that only a, and only b, calls right are subtracted, and the mean of
that over the patients is set against its error.

Assumes: patients are independent of one another; for the clustered test they are not few. The exact test is careful:
with few rows on which the families differ it errs far less often than it says.

Reference: McNemar, Psychometrika 12:153 (1947); Durkalski et al., Statistics in Medicine 22:2417 (2003).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, chdtrc, ndtri

from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.contrast import Contrast

EXACT, CLUSTERED = "McNemar, exact", "McNemar, clustered (Durkalski)"


def mcnemar(cohort: Cohort, a: str, b: str, level: float = 0.05) -> tuple[str, Contrast]:
    """Return the method and the difference a minus b in the share of rows called right.

    Args:
        cohort: What is judged; both families must have finished the same folds and seeds.
        a: One family.
        b: The other.
        level: What an interval leaves out.
    """
    ahead, patient = _ahead(cohort, a, b)
    if len(np.unique(patient)) == len(patient):
        return EXACT, exact(int((ahead > 0).sum()), int((ahead < 0).sum()), len(ahead))
    n_rows = np.bincount(patient)
    return CLUSTERED, clustered(np.bincount(patient, weights=ahead)[n_rows > 0] / n_rows[n_rows > 0], level)


def exact(only_a: int, only_b: int, n: int) -> Contrast:
    """Return the difference of two shares of the same n rows with its exact two-sided p; it has no interval.

    >>> round(exact(1, 8, 20).p, 4)
    0.0391
    """
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))) if only_a + only_b else 1.0
    return Contrast((only_a - only_b) / n, np.nan, np.nan, p)


def clustered(differences: NDArray[np.float64], level: float = 0.05) -> Contrast:
    """Return the mean of the patients' differences, its normal interval, and Durkalski's p.

    Args:
        differences: (P,) of each patient: share called right by a alone minus that by b alone.
        level: What the interval leaves out.
    """
    squares = float((differences**2).sum())
    if squares == 0:  # they never differ, or never in sum: nothing speaks for either
        return Contrast(0.0, np.nan, np.nan, 1.0)
    n, mean = len(differences), float(differences.mean())
    half = float(ndtri(1 - level / 2) * np.sqrt(squares) / n)
    return Contrast(mean, mean - half, mean + half, float(chdtrc(1, (n * mean) ** 2 / squares)))


def _ahead(cohort: Cohort, a: str, b: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each row +1 where only a is right, -1 where only b is, else 0; and its patient."""
    ahead, patient = [], []
    for one, other in zip(cohort.of(a), cohort.of(b), strict=True):
        right = [(group.probs.argmax(axis=1) == group.label).astype(np.int64) for group in (one, other)]
        ahead.append(right[0] - right[1])
        patient.append(one.patient)
    return np.concatenate(ahead), np.concatenate(patient)
