"""Thresholds on the probability of one class, set on rows of known class: for a sensitivity, a specificity, or a price.

A row is called the class where its probability is at least the threshold. Only probabilities that occur can be
thresholds, and infinity, from which nothing is called. What is set on some rows holds on those rows; on others it has
to be looked at, which is what the judge does.

Reference: Youden, Cancer 3:32 (1950); Metz, Seminars in Nuclear Medicine 8:283 (1978) for a price of errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-12  # 19 / 20 is a sensitivity of 0.95


class Operating(NamedTuple):
    """Every operating point of a class, from calling nothing to calling everything; all (T,).

    Args:
        threshold: Falling, the first one infinite.
        sensitivity: Share of the class that is called.
        specificity: Share of the others that is not.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]


def operating(stated: NDArray[np.float64], truth: NDArray[np.bool_]) -> Operating | None:
    """Return the operating points; None where all rows are of the class, or none is.

    Args:
        stated: (N,) probability of the class.
        truth: (N,) whether the row is of it.
    """
    n_true = int(truth.sum())
    if n_true in (0, len(truth)):
        return None
    order = np.argsort(-stated, kind="stable")
    score = stated[order]
    ends = np.flatnonzero(np.r_[score[1:] != score[:-1], True])  # last row of each tie
    hits = np.r_[0, np.cumsum(truth[order])[ends]]
    alarms = np.r_[0, np.cumsum(~truth[order])[ends]]
    return Operating(np.r_[np.inf, score[ends]], hits / n_true, 1 - alarms / (len(truth) - n_true))


def for_sensitivity(points: Operating, least: float) -> float:
    """Return the highest threshold with at least that sensitivity.

    >>> points = operating(np.array([0.9, 0.6, 0.4, 0.2]), np.array([True, False, True, False]))
    >>> for_sensitivity(points, 0.95), for_specificity(points, 0.95), for_price(points, 1.0, 1.0)
    (0.4, 0.9, 0.9)
    """
    return float(points.threshold[np.argmax(points.sensitivity >= least - _ROUNDING)])


def for_specificity(points: Operating, least: float) -> float:
    """Return the lowest threshold with at least that specificity; infinite where only calling nothing has it."""
    return float(points.threshold[np.flatnonzero(points.specificity >= least - _ROUNDING)[-1]])


def for_price(points: Operating, of_sensitivity: float, of_specificity: float) -> float:
    """Return the threshold with the greatest weighted sum of sensitivity and specificity, the highest of equals.

    Youden's index weighs both by 1. Where a miss costs c false alarms and a share π is of the class, the weights are
    c·π and 1 - π.
    """
    worth = of_sensitivity * points.sensitivity + of_specificity * points.specificity
    return float(points.threshold[np.argmax(worth >= worth.max() - _ROUNDING)])
