"""Handcrafted texture: local binary patterns and a support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.families import state
from grandrounds.families.kernel import KernelMachine, fit_machine
from grandrounds.families.params import LbpSvmParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import choose_by, labels_of, patients_of, training_labels
from grandrounds.features.lbp import RINGS, lbp_histograms
from grandrounds.shapes import ClassIndex, Features, Probs
from grandrounds.training.imbalance import class_weights

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
        return self.machine.probs(lbp_histograms(view.pixels, self.cells))

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
        """Return the machine fitted on `train`; C, gamma and the temperature are chosen on `valid`.

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
        rows = _Rows(
            lbp_histograms(train.pixels, cells), training_labels(train),
            lbp_histograms(valid.pixels, cells), labels_of(valid),
        )  # fmt: skip
        machine, notes = self._choose(rows, valid, seed)
        record = FitRecord(patients_of(train, valid), n_parameters=_size(machine), notes=notes)
        return FittedLbpSvm(record, cells, machine)

    def _choose(self, rows: _Rows, valid: View, seed: int) -> tuple[KernelMachine, tuple[str, ...]]:
        choice = choose_by(valid)
        weighing = class_weights(rows.labels, valid.n_classes, self.params.imbalance)
        some = _tuning_rows(rows.labels, self.params.max_rows_tuning, seed)
        n_features = rows.features.shape[1]

        def fitted(which: NDArray[np.int64] | slice, cost: float, width: float) -> KernelMachine:
            machine = fit_machine(
                rows.features[which], rows.labels[which], weighing.weights, cost=cost, gamma=width / n_features
            )
            return machine.tempered(rows.valid_features, rows.valid_labels)

        grid = list(product(self.params.costs, self.params.widths))
        tried = [fitted(some, cost, width) for cost, width in grid]
        scores = [choice.metric(rows.valid_labels, one.probs(rows.valid_features)) for one in tried]
        best = int(np.argmax(scores))  # the mildest machine among equals, for the grid goes from mild to strict
        cost, width = grid[best]
        machine = tried[best] if len(some) == len(rows.labels) else fitted(slice(None), cost, width)
        note = (
            f"C = {cost:g} and gamma = {width:g} / {n_features} {choice.note}; the temperature too was fitted on valid"
        )
        return machine, (weighing.note, note)


class _Rows(NamedTuple):
    features: Features
    labels: ClassIndex
    valid_features: Features
    valid_labels: ClassIndex


def _tuning_rows(labels: ClassIndex, most: int, seed: int) -> NDArray[np.int64]:
    # The same share of each class, and never fewer than two images of it.
    if len(labels) <= most:
        return np.arange(len(labels))
    random = seeds.generator(seed, "tuning rows")
    kept = [
        random.permutation(np.flatnonzero(labels == k))[: max(2, round(most * float((labels == k).mean())))]
        for k in np.unique(labels)
    ]
    return np.sort(np.concatenate(kept))


def _size(machine: KernelMachine) -> int:
    return sum(machine.get_buffer(name).numel() for name in ("vectors", "duals", "intercepts"))
