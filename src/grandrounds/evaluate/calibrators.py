"""Four ways to recalibrate probabilities: each is fitted on rows of known class, and then a record of plain numbers.

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
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit

from grandrounds.shapes import ClassIndex, Probs
from grandrounds.specs import Spec

Values: TypeAlias = NDArray[np.float64]  # (N,)

_LEAST = np.finfo(np.float64).eps  # probabilities are kept this far from 0 and 1, as for the log loss
_HOTTEST = 20.0  # of temperatures, and the coldest is its inverse: of rows without an error none is cold enough


class Curve(Spec):
    """What becomes of the stated probability of one class.

    Args:
        kind: Which curve; `"stated"` changes nothing.
        numbers: Its coefficients; of an isotonic one the calibrated probabilities.
        at: Of an isotonic one, the stated probabilities that these belong to; between them it is straight.
    """

    kind: Literal["Platt", "beta", "isotonic", "stated"]
    numbers: tuple[float, ...] = ()
    at: tuple[float, ...] = ()

    def __call__(self, stated: Values) -> Values:
        """Return calibrated probabilities, (N,)."""
        if self.kind == "stated":
            return stated
        if self.kind == "isotonic":
            return np.asarray(np.interp(stated, self.at, self.numbers))
        return np.asarray(expit(np.array(self.numbers) @ _DESIGNS[self.kind](_inside(stated))))


class Calibrator(Spec):
    """What becomes of stated probabilities.

    Args:
        sharpness: All log probabilities are multiplied by this, the inverse of a temperature; None for curves.
        curves: One a class, or the second's alone where there are two; empty for a temperature.
    """

    sharpness: float | None = None
    curves: tuple[Curve, ...] = ()

    def __call__(self, probs: Probs) -> Probs:
        """Return calibrated probabilities, (N, K)."""
        if self.sharpness is not None:
            return np.asarray(np.exp(log_softmax(self.sharpness * _logs(probs), axis=1)))
        if len(self.curves) == 1:
            return np.stack([1 - (high := self.curves[0](probs[:, 1])), high], axis=1)
        raw = np.stack([curve(probs[:, klass]) for klass, curve in enumerate(self.curves)], axis=1)  # (N, K)
        total = raw.sum(axis=1, keepdims=True)
        return np.where(total > 0, raw / np.where(total > 0, total, 1.0), probs)  # nothing is likely: as stated


def temperature(probs: Probs, label: ClassIndex) -> Calibrator:
    """Return probabilities with their logarithms divided by the number that gives the least log loss."""
    logs = _logs(probs)
    rows = np.arange(len(label))

    def loss(sharpness: float) -> float:
        return -float(log_softmax(np.exp(sharpness) * logs, axis=1)[rows, label].mean())

    ends = (-np.log(_HOTTEST), np.log(_HOTTEST))
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9}).x
    return Calibrator(sharpness=float(np.exp(found)))


def _logs(probs: Probs) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probs, _LEAST, None)))


_DESIGNS: Mapping[str, Callable[[Values], NDArray[np.float64]]] = MappingProxyType(  # each (D, N)
    {
        "Platt": lambda p: np.stack([logit(p), np.ones_like(p)]),
        "beta": lambda p: np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)]),
    }
)
_RISING = ((0.0, None), (0.0, None), (None, None))


def _isotonic(stated: Values, truth: NDArray[np.bool_]) -> Curve:
    at, place, n = np.unique(stated, return_inverse=True, return_counts=True)
    fitted = isotonic_regression(np.bincount(place, weights=truth) / n, weights=n).x
    flat = np.zeros(len(at), np.bool_)  # between two neighbours of the same height: they say as much
    flat[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Curve(kind="isotonic", numbers=tuple(fitted[~flat].tolist()), at=tuple(at[~flat].tolist()))


def _logistic(
    kind: Literal["Platt", "beta"],
    bounds: Sequence[tuple[float | None, float | None]] | None,
    stated: Values,
    truth: NDArray[np.bool_],
) -> Curve:
    """Return the logistic regression of the outcome on a design (D, N), its targets smoothed as Platt did."""
    n_true = int(truth.sum())
    target = np.where(truth, (n_true + 1) / (n_true + 2), 1 / (len(truth) - n_true + 2))
    regressors = _DESIGNS[kind](_inside(stated))  # (D, N)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = beta @ regressors
        value = np.logaddexp(0.0, at) - target * at
        return float(value.mean()), regressors @ (expit(at) - target) / len(truth)

    start = np.r_[np.ones(len(regressors) - 1), 0.0]  # what changes nothing, or nearly
    beta = minimize(
        loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000}
    ).x
    return Curve(kind=kind, numbers=tuple(beta.tolist()))


def _inside(probs: Values) -> Values:
    return np.clip(probs, _LEAST, 1 - _LEAST)


def _by_class(fit: Callable[[Values, NDArray[np.bool_]], Curve], probs: Probs, label: ClassIndex) -> Calibrator:
    """Return the curves of all classes, those of a class that is absent or alone as stated."""
    classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
    truths = [label == klass for klass in classes]
    return Calibrator(
        curves=tuple(
            fit(probs[:, klass], truth) if 0 < truth.sum() < len(truth) else Curve(kind="stated")
            for klass, truth in zip(classes, truths, strict=True)
        )
    )


CALIBRATORS: Mapping[str, Callable[[Probs, ClassIndex], Calibrator]] = MappingProxyType(
    {
        "temperature": temperature,
        "Platt": partial(_by_class, partial(_logistic, "Platt", None)),
        "isotonic": partial(_by_class, _isotonic),
        "beta": partial(_by_class, partial(_logistic, "beta", _RISING)),
    }
)
