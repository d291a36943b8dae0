"""The floor that looks at nothing: each image gets the class frequencies of the training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from grandrounds.families import state
from grandrounds.families.params import PriorParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import labels_of, patients_of
from grandrounds.shapes import Probs, Weights


@dataclass(frozen=True, slots=True)
class FittedPrior:
    """Class frequencies (K,) of the training images."""

    record: FitRecord
    frequencies: Weights

    def predict(self, view: View) -> Probs:
        """Return the same row for each image, (N, K)."""
        return np.tile(self.frequencies, (len(view.pixels), 1))

    def save(self, folder: Path) -> None:
        """Write the frequencies."""
        state.save(folder, self.record, {}, {"frequencies": self.frequencies})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        return cls(saved.record, saved.arrays["frequencies"])


@dataclass(frozen=True, slots=True)
class PriorFamily:
    """The family of the prior."""

    params: PriorParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedPrior:  # noqa: ARG002  (the contract's arguments)
        """Return the class frequencies of `train`."""
        labels = labels_of(train)
        frequencies = np.bincount(labels, minlength=train.n_classes) / len(labels)
        return FittedPrior(FitRecord(patients_of(train, valid), n_parameters=train.n_classes - 1), frequencies)
