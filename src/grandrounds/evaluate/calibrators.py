"""Four ways to recalibrate probabilities, each fitted on rows of known class and then a function of probabilities.

Temperature divides all log probabilities by one number. The other three learn a curve for each class against the
others, after which a row is divided by its sum; with two classes one curve is enough and nothing has to be divided.
Platt's is a line on the log odds, beta's is linear in log p and log(1 - p), never falling; both meet targets smoothed
as Platt did, so that they exist even where a threshold never errs. Isotonic's is any step that never falls. A class
that is absent from the rows, or alone in them, keeps its probabilities.

Assumes: rows are like those that will be met. Patients with many rows weigh more.

Reference: Guo et al., ICML (2017) for temperature; Platt, Advances in Large Margin Classifiers (1999); Zadrozny &
Elkan, KDD (2002) for isotonic; Kull, Silva Filho & Flach, Electronic Journal of Statistics 11:5052 (2017) for beta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit

from grandrounds.shapes import ClassIndex, Probs

Calibrator: TypeAlias = Callable[[Probs], Probs]
Curve: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # of one class: stated to calibrated, (N,)
_FitCurve: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.bool_]], Curve]

_LEAST = np.finfo(np.float64).eps  # probabilities are kept this far from 0 and 1, as for the log loss
_HOTTEST = 20.0  # of temperatures, and the coldest is its inverse: of rows without an error none is cold enough


def temperature(probs: Probs, label: ClassIndex) -> Calibrator:
    """Return probabilities with their logarithms divided by the number that gives the least log loss."""
    logs = _logs(probs)
    rows = np.arange(len(label))

    def loss(sharpness: float) -> float:
        return -float(log_softmax(np.exp(sharpness) * logs, axis=1)[rows, label].mean())

    ends = (-np.log(_HOTTEST), np.log(_HOTTEST))
    found = np.exp(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9}).x)
    return lambda others: np.asarray(np.exp(log_softmax(found * _logs(others), axis=1)))


def _logs(probs: Probs) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probs, _LEAST, None)))


def _platt(stated: NDArray[np.float64], truth: NDArray[np.bool_]) -> Curve:
    return _logistic(lambda p: np.stack([logit(p), np.ones_like(p)]), stated, truth, bounds=None)


def _beta(stated: NDArray[np.float64], truth: NDArray[np.bool_]) -> Curve:
    rising = ((0.0, None), (0.0, None), (None, None))
    return _logistic(lambda p: np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)]), stated, truth, bounds=rising)


def _isotonic(stated: NDArray[np.float64], truth: NDArray[np.bool_]) -> Curve:
    at, place, n = np.unique(stated, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=truth) / n
    fitted = isotonic_regression(share, weights=n).x
    return lambda p: np.asarray(np.interp(p, at, fitted))


def _logistic(
    design: Curve,
    stated: NDArray[np.float64],
    truth: NDArray[np.bool_],
    bounds: Sequence[tuple[float | None, float | None]] | None,
) -> Curve:
    """Return the logistic regression of the outcome on a design (D, N), its targets smoothed as Platt did."""
    n_true = int(truth.sum())
    target = np.where(truth, (n_true + 1) / (n_true + 2), 1 / (len(truth) - n_true + 2))
    regressors = design(_inside(stated))  # (D, N)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = beta @ regressors
        value = np.logaddexp(0.0, at) - target * at
        return float(value.mean()), regressors @ (expit(at) - target) / len(truth)

    start = np.r_[np.ones(len(regressors) - 1), 0.0]  # what changes nothing, or nearly
    beta = minimize(
        loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000}
    ).x
    return lambda p: np.asarray(expit(beta @ design(_inside(p))))


def _inside(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(probs, _LEAST, 1 - _LEAST)


def _by_class(fit: _FitCurve, probs: Probs, label: ClassIndex) -> Calibrator:
    """Return the curves of all classes as one calibrator."""
    n_classes = probs.shape[1]
    if n_classes == 2:
        only = _curve(fit, probs[:, 1], label == 1)
        return lambda others: np.stack([1 - (high := only(others[:, 1])), high], axis=1)
    curves = [_curve(fit, probs[:, klass], label == klass) for klass in range(n_classes)]

    def calibrated(others: Probs) -> Probs:
        raw = np.stack([curve(others[:, klass]) for klass, curve in enumerate(curves)], axis=1)  # (N, K)
        total = raw.sum(axis=1, keepdims=True)
        return np.where(total > 0, raw / np.where(total > 0, total, 1.0), others)  # nothing is likely: as stated

    return calibrated


def _curve(fit: _FitCurve, stated: NDArray[np.float64], truth: NDArray[np.bool_]) -> Curve:
    return fit(stated, truth) if 0 < truth.sum() < len(truth) else lambda p: p


CALIBRATORS: Mapping[str, Callable[[Probs, ClassIndex], Calibrator]] = MappingProxyType(
    {
        "temperature": temperature,
        "Platt": partial(_by_class, _platt),
        "isotonic": partial(_by_class, _isotonic),
        "beta": partial(_by_class, _beta),
    }
)
