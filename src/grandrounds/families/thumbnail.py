"""The floor of brightness and coarse layout: logistic regression on an 8×8 thumbnail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grandrounds.families import state
from grandrounds.families.params import ThumbnailParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.softmax import Softmax, regress
from grandrounds.features.thumbnail import thumbnails
from grandrounds.shapes import Probs


@dataclass(frozen=True, slots=True)
class FittedThumbnail:
    """A regression on the thumbnail of an image of any size."""

    record: FitRecord
    side_px: int
    softmax: Softmax

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K)."""
        return self.softmax.probs(thumbnails(view.pixels, self.side_px))

    def save(self, folder: Path) -> None:
        """Write the weights."""
        state.save(folder, self.record, {"side_px": self.side_px}, self.softmax.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        return cls(saved.record, saved.content["side_px"], Softmax.of(saved.arrays))


@dataclass(frozen=True, slots=True)
class ThumbnailFamily:
    """The family of the thumbnail."""

    params: ThumbnailParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedThumbnail:  # noqa: ARG002  (the contract's arguments)
        """Return the regression fitted on `train`, its penalty chosen on `valid`."""
        side = self.params.side_px
        fit = regress(
            train, valid, thumbnails(train.pixels, side), thumbnails(valid.pixels, side),
            penalties=self.params.penalties, imbalance=self.params.imbalance,
        )  # fmt: skip
        record = FitRecord(patients_of(train, valid), n_parameters=(side**2 + 1) * train.n_classes, notes=fit.notes)
        return FittedThumbnail(record, side, fit.softmax)
