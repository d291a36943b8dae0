"""A support vector machine as a torch module: standardised features in, probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor, nn

from grandrounds.families.state import Arrays
from grandrounds.shapes import ClassIndex, Features, Probs, Weights

if TYPE_CHECKING:
    from sklearn.svm import SVC

_NEVER = -1e9  # logit of a class that training did not show
_ROWS = 1024  # kernel rows at once
_SLOPES = (-3.0, 5.0)  # logarithms of those that are tried


class KernelMachine(nn.Module):
    """Pairwise machines, Gaussian or linear, coupled by mean margins and a sigmoid.

    Buffers: `mean`, `sd` (any,), `vectors` (V, any), `duals` (pairs, V), `intercepts` (pairs,), `wins` (pairs, K),
    `offsets` (K,), `gamma` and `slope` (one number each). Where `gamma` is 0 the machines are linear, and each of
    the `vectors` is already the sum that makes one machine.
    """

    mean: Tensor
    sd: Tensor
    vectors: Tensor
    duals: Tensor
    intercepts: Tensor
    wins: Tensor
    offsets: Tensor
    gamma: Tensor
    slope: Tensor

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

    def margins(self, features: Tensor) -> Tensor:
        """Return each class's mean margin over the others, (B, K)."""
        return self.decisions(features) @ self.wins

    def forward(self, features: Tensor) -> Tensor:
        """Return probabilities (B, K): the softmax of the margins, sloped and offset."""
        return torch.softmax(self.slope * self.margins(features) + self.offsets, dim=1)

    @torch.inference_mode()
    def probs(self, features: Features) -> Probs:
        """Return probabilities (N, K)."""
        return torch.cat([self(part) for part in _parts(features)]).numpy()  # (N, K)

    def arrays(self) -> Arrays:
        """Return what is to be saved."""
        return {name: value.numpy() for name, value in self.state_dict().items()}

    def with_sigmoid(self, features: Features, labels: ClassIndex, weights: Weights, n_patients: int) -> Self:
        """Return this machine with the slope and the offsets that have the least log loss on these rows.

        Of two classes this is a logistic regression on the margin, its targets smoothed as Platt did, so that it exists
        even where no row is wrong. A class that the rows lack keeps its offset. Offsets are drawn towards 0 as by a
        normal prior of variance 1 against one observation a patient: a class that three patients show on many images
        says little of how often it will be met.

        Args:
            features: (N, any).
            labels: (N,).
            weights: (K,) of the classes, as the machine was fitted with.
            n_patients: Whose rows they are.

        Reference: Platt, Advances in Large Margin Classifiers, MIT Press 1999; of several classes with one slope:
        Alexandari, Kundaje, Shrikumar, ICML 2020.
        """
        arrays, offsets = self.arrays(), self.arrays()["offsets"].copy()
        known = offsets[labels] > _NEVER  # of a class that training did not show, no row can be explained
        features, labels = features[known], labels[known]
        shown = np.unique(labels)
        if len(shown) < 2:
            return self
        with torch.inference_mode():
            margins = torch.cat([self.margins(part) for part in _parts(features)]).numpy()[:, shown]  # (N, shown)
        slope, offsets[shown] = _sigmoid(margins, np.searchsorted(shown, labels), weights[labels], 0.5 / n_patients)
        return type(self)(arrays | {"slope": np.array(slope), "offsets": offsets})


def _sigmoid(
    margins: NDArray[np.float64], labels: ClassIndex, weights: Weights, tether: float
) -> tuple[float, NDArray[np.float64]]:
    """Return the slope and the offsets (K,), which sum to 0, that make margins (N, K) meet Platt's targets best.

    Args:
        margins: (N, K).
        labels: (N,).
        weights: (N,).
        tether: What the squared offsets cost.
    """
    n_classes, share = margins.shape[1], weights / weights.sum()
    sure = (np.bincount(labels) + 1) / (np.bincount(labels) + 2)  # (K,)
    target = np.where(np.eye(n_classes) == 1, sure[:, None], (1 - sure[:, None]) / (n_classes - 1))[labels]  # (N, K)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, offsets = np.exp(beta[0]), beta[1:]
        logs = log_softmax(slope * margins + offsets, axis=1)
        error = (np.exp(logs) - target) * share[:, None]  # (N, K)
        value = -float(share @ (target * logs).sum(axis=1)) + tether * float(offsets @ offsets)
        return value, np.append(slope * (error * margins).sum(), error.sum(axis=0) + 2 * tether * offsets)

    beta = minimize(
        loss, np.zeros(1 + n_classes), jac=True, method="L-BFGS-B", bounds=[_SLOPES, *[(None, None)] * n_classes],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    ).x  # fmt: skip
    return float(np.exp(beta[0])), beta[1:] - beta[1:].mean()


def _parts(features: Features) -> Iterator[Tensor]:
    return (torch.tensor(features[at : at + _ROWS]) for at in range(0, len(features), _ROWS))


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
    offsets = np.full(len(weights), _NEVER)
    offsets[present] = 0.0
    return KernelMachine(
        {
            "mean": mean,
            "sd": sd,
            "vectors": vectors,
            "duals": duals,
            "intercepts": machine.intercept_,
            "wins": wins,
            "offsets": offsets,
            "gamma": np.array(gamma),
            "slope": np.array(1.0),
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
