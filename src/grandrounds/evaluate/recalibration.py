"""Calibration slope and intercept of each class, by logistic regression of the outcome on the stated log odds.

With x the stated log odds of a class and P the chance that a sample is of it, logit P = a + b·x. The slope is b. The
intercept is a with b held at 1: calibration in the large. Probabilities are clipped at 2.2e-16, as for the log loss. A
slope does not exist where a threshold on x tells the class from all others without an error (Albert & Anderson,
Biometrika 71:1, 1984); then it is NaN.

Reference: Cox, Biometrika 45:562 (1958); Van Calster et al., BMC Medicine 17:230 (2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from grandrounds.evaluate.metrics import Tally, Values
from grandrounds.shapes import Probs

_MOST_STEPS = 200
_LONGEST = 5.0  # a step moves no log odds further, so that saturated probabilities cannot fling it away
_SAME = 1e-9  # log odds that differ by less do so by rounding
_DONE = 1e-9  # Newton squares the error: after a step this short, nothing is left of it


def slope(rows: Tally) -> Values:
    """Return the calibration slope of each class, (K, R); 1 is right, below 1 the probabilities are too extreme."""
    return _coefficients(rows, free=True)


def intercept(rows: Tally) -> Values:
    """Return the calibration in the large of each class, (K, R); 0 is right, below 0 they are too high."""
    return _coefficients(rows, free=False)


def slope_influence(rows: Tally) -> Values:
    """Return by how much each unit moves the slope of each class, (K, units), under the first weighting."""
    return _influences(rows, free=True)


def intercept_influence(rows: Tally) -> Values:
    """Return by how much each unit moves the intercept of each class, (K, units), under the first weighting."""
    return _influences(rows, free=False)


def _coefficients(rows: Tally, *, free: bool) -> Values:
    label, unit, odds = rows.sheet.marks.places[:, 0], rows.sheet.marks.unit, _log_odds(rows.sheet.probs)
    values = np.empty((odds.shape[1], rows.weights.shape[1]))
    for klass, r in np.ndindex(values.shape):
        fitted = _fit(odds[:, klass], label == klass, rows.weights[unit, r].astype(np.float64), free=free)
        values[klass, r] = fitted[-1]
    return values


def _influences(rows: Tally, *, free: bool) -> Values:
    label, unit, odds = rows.sheet.marks.places[:, 0], rows.sheet.marks.unit, _log_odds(rows.sheet.probs)
    weights = rows.weights[unit, 0].astype(np.float64)
    values = np.full((odds.shape[1], len(rows.weights)), np.nan)
    for klass in range(odds.shape[1]):
        fitted = _fit(odds[:, klass], label == klass, weights, free=free)
        if np.isfinite(fitted).all():
            design, offset = _design(odds[:, klass], free=free)
            pull, bend = _derivatives(design, offset + fitted @ design, label == klass, weights)
            moved = (np.linalg.pinv(bend) @ pull)[-1]  # (N,)
            values[klass] = np.bincount(unit, weights=moved, minlength=len(rows.weights))
    return values


def _log_odds(probs: Probs) -> NDArray[np.float64]:
    """Return the log odds of each class against the others, (N, K)."""
    least = np.finfo(np.float64).eps
    others = probs @ (1.0 - np.eye(probs.shape[1]))  # summed: 1 - p would lose a small rest
    return np.asarray(np.log(np.clip(probs, least, None)) - np.log(np.clip(others, least, None)))


def _design(odds: NDArray[np.float64], *, free: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the regressors (2 or 1, N), the reported one last, and the offset (N,)."""
    ones = np.ones_like(odds)
    return (np.stack([ones, odds]), 0.0 * odds) if free else (ones[None], odds)


def _derivatives(
    design: NDArray[np.float64], at: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each row's part of the gradient of the log likelihood (D, N), and minus its second derivative (D, D)."""
    chance, rest = expit(at), expit(-at)  # 1 - chance would be 0 too early
    return design * weights * np.where(truth, rest, -chance), (design * weights * chance * rest) @ design.T


def _fit(
    odds: NDArray[np.float64], truth: NDArray[np.bool_], weights: NDArray[np.float64], *, free: bool
) -> NDArray[np.float64]:
    """Return the coefficients of largest likelihood, (2,) or (1,), NaN where there are none; Newton's method."""
    design, offset = _design(odds, free=free)
    beta = np.zeros(len(design))
    if not _exists(odds[weights > 0], truth[weights > 0], free=free):
        return np.full_like(beta, np.nan)

    def loss(beta: NDArray[np.float64]) -> float:
        at = offset + beta @ design
        return float(weights @ np.logaddexp(0.0, np.where(truth, -at, at)))

    for _ in range(_MOST_STEPS):
        pull, bend = _derivatives(design, offset + beta @ design, truth, weights)
        step = np.linalg.pinv(bend) @ pull.sum(axis=1)  # never raises, however flat it gets
        length = float(np.abs(step @ design).max())
        step *= min(1.0, _LONGEST / length) if length else 1.0
        while length > 1e-4 and loss(beta + step) > loss(beta):  # nearer than that only rounding is compared
            step, length = step / 2, length / 2
        beta += step
        if length < _DONE:
            return beta
    return np.full_like(beta, np.nan)


def _exists(odds: NDArray[np.float64], truth: NDArray[np.bool_], *, free: bool) -> bool:
    """Return whether the largest likelihood is reached anywhere: both sides are there and, for a slope, overlap."""
    yes, no = odds[truth], odds[~truth]
    if not (len(yes) and len(no)):
        return False
    return not free or bool(no.max() - yes.min() > _SAME and yes.max() - no.min() > _SAME)
