"""A support vector machine as a torch module: standardised features in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from grandrounds.families.selection import minus_log_loss
from grandrounds.families.state import Arrays
from grandrounds.shapes import ClassIndex, Features, Probs, Weights

if TYPE_CHECKING:
    from sklearn.svm import SVC

_NEVER = -1e9  # logit of a class that training did not show
_ROWS = 1024  # kernel rows at once


class KernelMachine(nn.Module):
    """Pairwise machines, Gaussian or linear, coupled by mean margins and a temperature.

    Buffers: `mean`, `sd` (any,), `vectors` (V, any), `duals` (pairs, V), `intercepts` (pairs,), `wins` (pairs, K),
    `absent` (K,), `gamma` and `sharpness` (one number each). Where `gamma` is 0 the machines are linear, and each of
    the `vectors` is already the sum that makes one machine.
    """

    mean: Tensor
    sd: Tensor
    vectors: Tensor
    duals: Tensor
    intercepts: Tensor
    wins: Tensor
    absent: Tensor
    gamma: Tensor
    sharpness: Tensor

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        for name, value in arrays.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @property
    def n_parameters(self) -> int:
        """How many numbers were learned, the vectors included."""
        return sum(self.get_buffer(name).numel() for name in ("vectors", "duals", "intercepts"))

    def decisions(self, features: Tensor) -> Tensor:
        """Return one margin per pair of classes, (B, pairs), as scikit-learn's `"ovo"` decision function does."""
        scaled = (features.double() - self.mean) / self.sd
        margins: Tensor = self._kernel(scaled) @ self.duals.T + self.intercepts
        return margins

    def _kernel(self, scaled: Tensor) -> Tensor:
        """Return the likeness of features (B, any) to each vector, (B, V)."""
        if not self.gamma:
            return scaled @ self.vectors.T / scaled.shape[1]
        distance = torch.cdist(scaled, self.vectors, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.exp(-self.gamma * distance.square())

    def forward(self, features: Tensor) -> Tensor:
        """Return probabilities (B, K): the softmax of each class's mean margin over the others."""
        return torch.softmax(self.sharpness * (self.decisions(features) @ self.wins) + self.absent, dim=1)

    @torch.inference_mode()
    def probs(self, features: Features) -> Probs:
        """Return probabilities (N, K)."""
        rows = [self(torch.tensor(features[at : at + _ROWS])) for at in range(0, len(features), _ROWS)]
        return torch.cat(rows).numpy()  # (N, K)

    def arrays(self) -> Arrays:
        """Return what is to be saved."""
        return {name: value.numpy() for name, value in self.state_dict().items()}

    def tempered(self, features: Features, labels: ClassIndex) -> Self:
        """Return this machine with the sharpness that has the least log loss on these rows.

        One number, so that a class which the rows lack keeps its share.
        """
        arrays = self.arrays()

        def loss(log_sharpness: float) -> float:
            sharper = type(self)(arrays | {"sharpness": np.array(np.exp(log_sharpness))})
            return -minus_log_loss(labels, sharper.probs(features))

        found = minimize_scalar(loss, bounds=(-3.0, 4.0), method="bounded", options={"xatol": 1e-3})
        return type(self)(arrays | {"sharpness": np.array(np.exp(found.x))})


def fit_machine(
    features: Features, labels: ClassIndex, weights: Weights, *, cost: float, gamma: float
) -> KernelMachine:
    """Return the machine fitted on these rows; a class without rows gets no probability.

    Args:
        features: (N, any).
        labels: (N,).
        weights: (K,) of the classes.
        cost: C.
        gamma: Of the Gaussian kernel exp(-gamma · distance²) of standardised features; 0 for a linear kernel, the inner
            product divided by the number of features.
    """
    from sklearn.svm import SVC  # noqa: PLC0415  (two seconds that applying never needs)

    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    sd[sd == 0] = 1.0
    present = np.unique(labels)
    n_features = features.shape[1]
    kernel = {"kernel": "rbf", "gamma": gamma} if gamma else {"kernel": "linear", "tol": 1e-5}
    machine = SVC(
        C=cost if gamma else cost / n_features, decision_function_shape="ovo",
        class_weight={int(k): weights[k] for k in present}, **kernel,
    )  # fmt: skip
    machine.fit((features - mean) / sd, labels)
    duals, wins = _pairs(machine, present, len(weights))
    vectors = machine.support_vectors_
    if not gamma:
        vectors, duals = n_features * duals @ vectors, np.eye(len(duals))
    absent = np.full(len(weights), _NEVER)
    absent[present] = 0.0
    return KernelMachine(
        {
            "mean": mean,
            "sd": sd,
            "vectors": vectors,
            "duals": duals,
            "intercepts": machine.intercept_,
            "wins": wins,
            "absent": absent,
            "gamma": np.array(gamma),
            "sharpness": np.array(1.0),
        }
    )


def _pairs(
    machine: SVC, present: Sequence[int] | NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # libsvm keeps the weights of class i against j in row j - 1 of i's vectors and in row i of j's (j > i). With more
    # than two classes a positive margin speaks for i; with two, scikit-learn turns the sign round.
    bounds = np.concatenate([[0], np.cumsum(machine.n_support_)])
    pairs = list(combinations(range(len(present)), 2))
    duals, wins = np.zeros((len(pairs), bounds[-1])), np.zeros((len(pairs), n_classes))
    sign = -1.0 if len(present) == 2 else 1.0
    for row, (i, j) in enumerate(pairs):
        of_i, of_j = slice(bounds[i], bounds[i + 1]), slice(bounds[j], bounds[j + 1])
        duals[row, of_i] = machine.dual_coef_[j - 1, of_i]
        duals[row, of_j] = machine.dual_coef_[i, of_j]
        wins[row, present[i]], wins[row, present[j]] = sign, -sign
    return duals, wins / (len(present) - 1)
