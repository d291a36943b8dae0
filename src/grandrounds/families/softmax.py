"""Logistic regression on standardised features, with its penalty chosen on `valid`; applied with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from grandrounds.families.protocol import View
from grandrounds.families.selection import choose_by, labels_of, training_labels
from grandrounds.families.state import Arrays
from grandrounds.shapes import Features, Probs
from grandrounds.training.imbalance import class_weights
from grandrounds.training.spec import Imbalance

_NEVER = -1e9  # logit of a class that training did not show


@dataclass(frozen=True, slots=True)
class Softmax:
    """Linear logits and their softmax; the scale of the features is part of the weights.

    Args:
        weights: (any, K).
        bias: (K,).
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def probs(self, features: Features) -> Probs:
        """Return probabilities (N, K)."""
        logits = features @ self.weights + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs: Probs = odds / odds.sum(axis=1, keepdims=True)
        return probs

    def arrays(self) -> Arrays:
        """Return what is to be saved."""
        return {"weights": self.weights, "bias": self.bias}

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """Return what `arrays` described."""
        return cls(arrays["weights"], arrays["bias"])


class Regression(NamedTuple):
    """A fitted regression and what a reader should be told about it."""

    softmax: Softmax
    notes: tuple[str, ...]


def regress(
    train: View, valid: View, train_features: Features, valid_features: Features, *,
    penalties: tuple[float, ...], imbalance: Imbalance,
) -> Regression:  # fmt: skip
    """Return the regression fitted on `train` with the penalty that is best on `valid`."""
    labels, choice = training_labels(train), choose_by(valid)
    weighing = class_weights(labels, train.n_classes, imbalance)
    tried = [_fit(train_features, labels, weighing.weights, inverse_penalty=penalty) for penalty in penalties]
    scores = [choice.metric(labels_of(valid), one.probs(valid_features)) for one in tried]
    best = int(np.argmax(scores))  # the strongest penalty among equals, for they are listed from strong to weak
    note = f"penalty C = {penalties[best]:g} {choice.note}"
    return Regression(tried[best], (weighing.note, note))


def _fit(
    features: Features, labels: NDArray[np.int64], weights: NDArray[np.float64], *, inverse_penalty: float
) -> Softmax:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (two seconds that applying never needs)

    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    sd[sd == 0] = 1.0
    model = LogisticRegression(C=inverse_penalty, max_iter=2000)
    model.fit((features - mean) / sd, labels, sample_weight=weights[labels])
    # Two classes have one row of coefficients, of the second class against the first.
    two = len(model.classes_) == 2
    slopes = np.vstack([np.zeros_like(model.coef_), model.coef_]) if two else model.coef_
    offsets = np.append(0.0, model.intercept_) if two else model.intercept_
    matrix, bias = np.zeros((features.shape[1], len(weights))), np.full(len(weights), _NEVER)
    matrix[:, model.classes_] = (slopes / sd).T
    bias[model.classes_] = offsets - (slopes / sd) @ mean
    return Softmax(matrix, bias)
