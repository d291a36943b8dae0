"""Handcrafted gradients: SIFT descriptors at fixed points and a support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grandrounds.errors import BadData
from grandrounds.families import state
from grandrounds.families.kernel import KernelMachine
from grandrounds.families.params import SiftSvmParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.svm import choose_machine
from grandrounds.features.sift import sift_descriptors
from grandrounds.shapes import Batch, Features, Probs

_MIN_WINDOW_PX = 8  # a descriptor has four cells a side, and a gradient needs two pixels
_WINDOW_PX = 32


@dataclass(frozen=True, slots=True)
class FittedSiftSvm:
    """Support vectors over descriptors."""

    record: FitRecord
    grid: int
    blur_px: float
    machine: KernelMachine

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K)."""
        return self.machine.probs(sift_descriptors(view.array, self.grid, self.blur_px))

    def save(self, folder: Path) -> None:
        """Write the machine."""
        content = {"grid": self.grid, "blur_px": self.blur_px}
        state.save(folder, self.record, content, self.machine.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        return cls(saved.record, **saved.content, machine=KernelMachine(saved.arrays))


@dataclass(frozen=True, slots=True)
class SiftSvmFamily:
    """The family of gradient descriptors."""

    params: SiftSvmParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedSiftSvm:  # noqa: ARG002  (the contract's arguments)
        """Return the machine fitted on `train`; C, gamma and the sigmoid are chosen on `valid`.

        Raises:
            BadData: The images are too small for a descriptor at each key point.
        """
        side = min(train.pixels.shape[2:])
        grid = self.params.grid or max(1, min(4, side // _WINDOW_PX))
        if side < grid * _MIN_WINDOW_PX:
            raise BadData(
                f"sift-svm with grid = {grid} needs images of at least {grid * _MIN_WINDOW_PX} pixels a side, "
                f"these have {side}",
                remedy=f"resize them in the preparation{', set a smaller grid' if grid > 1 else ''}, or leave it out",
            )

        def describe(pixels: Batch) -> Features:
            return sift_descriptors(pixels, grid, self.params.blur_px)

        machine, notes = choose_machine(train, valid, describe(train.array), describe(valid.array), self.params, seed)
        record = FitRecord(patients_of(train, valid), n_parameters=machine.n_parameters, notes=notes)
        return FittedSiftSvm(record, grid, self.params.blur_px, machine)
