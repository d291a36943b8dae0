"""Handcrafted texture: local binary patterns and a support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grandrounds.errors import BadData
from grandrounds.families import state
from grandrounds.families.kernel import KernelMachine
from grandrounds.families.params import LbpSvmParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.svm import choose_machine
from grandrounds.features.lbp import RINGS, lbp_histograms
from grandrounds.shapes import Probs

_MIN_SIDE_PX = 2 * max(radius for _, radius in RINGS) + 2
_CELL_PX = 32


@dataclass(frozen=True, slots=True)
class FittedLbpSvm:
    """Support vectors over pattern histograms."""

    record: FitRecord
    cells: int
    machine: KernelMachine

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K)."""
        return self.machine.probs(lbp_histograms(view.array, self.cells))

    def save(self, folder: Path) -> None:
        """Write the machine."""
        state.save(folder, self.record, {"cells": self.cells}, self.machine.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        return cls(saved.record, saved.content["cells"], KernelMachine(saved.arrays))


@dataclass(frozen=True, slots=True)
class LbpSvmFamily:
    """The family of local binary patterns."""

    params: LbpSvmParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedLbpSvm:  # noqa: ARG002  (the contract's arguments)
        """Return the machine fitted on `train`; C, gamma and the sigmoid are chosen on `valid`.

        Raises:
            BadData: The images are smaller than the widest ring of neighbours.
        """
        side = min(train.pixels.shape[2:])
        if side < _MIN_SIDE_PX:
            raise BadData(
                f"lbp-svm needs images of at least {_MIN_SIDE_PX} pixels a side, these have {side}",
                remedy="resize them in the preparation, or leave this family out",
            )
        cells = self.params.cells or max(1, min(8, side // _CELL_PX))
        machine, notes = choose_machine(
            train, valid, lbp_histograms(train.array, cells), lbp_histograms(valid.array, cells), self.params, seed
        )
        record = FitRecord(patients_of(train, valid), n_parameters=machine.n_parameters, notes=notes)
        return FittedLbpSvm(record, cells, machine)
