"""What a set of cases could have shown: the smallest difference it would find, and the patients a smaller one needs.

A difference with standard error s is found at a level in a share `power` of all studies where its true value is
(z of 1 - level / 2, plus z of power) · s. With m comparisons the level is 0.05 / m, at which Holm's procedure judges
the first, and with few patients the stricter one that `differences` makes of it. The error shrinks with the root of the
number of patients.

That error is the one of the families as they are. Close to the end of its scale it says little of a family that is
worse: of a family that misses hardly anybody nobody knows how exactly one that misses some would be known. On the log
odds errors change little, so there the difference is sought, from the better family down.

Assumes: the difference is about normal on the log odds, and more patients would be like those that were seen, with as
many samples each. The error is itself an estimate.

Reference: Bloom, Evaluation Review 19:547 (1995).
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from scipy.special import expit, logit, ndtri

from grandrounds.evaluate.differences import farther

ALPHA, POWER = 0.05, 0.80
Shares = tuple[float, float]
_MOST = 10**12  # patients, more than there are


def detectable(
    error: float, n_patients: int, n_tests: int, shares: Shares | None = None, power: float = POWER
) -> float:
    """Return the smallest true difference that is shown with that power.

    Args:
        error: Standard error of the difference with `n_patients`.
        n_patients: How many there were.
        n_tests: How many comparisons are corrected for.
        shares: How far up a scale from 0 to 1 either family is; None for a scale without ends.
        power: Share of studies.

    >>> round(detectable(0.01, 1000, n_tests=1), 3), round(detectable(0.01, 12, n_tests=1), 3)
    (0.028, 0.031)
    >>> round(detectable(0.01, 1000, n_tests=1, shares=(0.98, 0.98)), 3)
    0.059
    """
    reach = float(ndtri(power) - ndtri(farther(ALPHA / n_tests, n_patients) / 2)) * error
    middle = sum(shares) / 2 if shares else 0.0
    if not shares or not 0 < middle < 1:
        return reach
    better = max(shares) if max(shares) < 1 else middle  # whoever misses nobody has no log odds
    return better - float(expit(logit(better) - reach / (middle * (1 - middle))))


def patients_needed(
    error: float, n_patients: int, difference: float, n_tests: int, shares: Shares | None = None,
    power: float = POWER,
) -> int:  # fmt: skip
    """Return how many patients would show a true difference with that power.

    Args:
        error: Standard error of the difference with `n_patients`.
        n_patients: How many there were.
        difference: The true difference, above 0.
        n_tests: How many comparisons are corrected for.
        shares: As for `detectable`.
        power: Share of studies.

    >>> patients_needed(0.01, 100, difference=0.01, n_tests=1)
    788
    """

    def enough(n: int) -> bool:
        return detectable(error * np.sqrt(n_patients / n), n, n_tests, shares, power) <= difference

    few = 2
    return few + bisect_left(range(few, _MOST), x=True, key=enough)
