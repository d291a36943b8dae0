"""Learned but unlabelled: features of a restricted Boltzmann machine and a support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import nn

from grandrounds import seeds
from grandrounds.families import state
from grandrounds.families.kernel import KernelMachine
from grandrounds.families.params import RbmSvmParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import labels_of, patients_of, training_labels
from grandrounds.families.svm import choose_machine
from grandrounds.features.rbm import WindowFeatures, learn_rbm
from grandrounds.shapes import Probs
from grandrounds.training import machine as hardware

_OWN = ("kernels", "bias")  # the features' arrays; all others are the support vector machine's


@dataclass(frozen=True, slots=True)
class FittedRbmSvm:
    """Support vectors over learned features."""

    record: FitRecord
    features: WindowFeatures
    machine: KernelMachine

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K), by one module from grey values on."""
        both = nn.Sequential(self.features, self.machine)
        with torch.inference_mode():
            return torch.cat([both(part) for part in self.features.parts(view.array)]).numpy()  # (N, K)

    def save(self, folder: Path) -> None:
        """Write the features and the machine."""
        content = {"side_px": self.features.side_px, "cells": self.features.cells}
        own = {name: self.features.get_buffer(name).numpy() for name in _OWN}
        state.save(folder, self.record, content, own | self.machine.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        kernels, bias = (torch.from_numpy(saved.arrays.pop(name)) for name in _OWN)
        features = WindowFeatures(kernels, bias, **saved.content)
        return cls(saved.record, features, KernelMachine(saved.arrays))


@dataclass(frozen=True, slots=True)
class RbmSvmFamily:
    """The family of features that are learned without labels."""

    params: RbmSvmParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedRbmSvm:  # noqa: ARG002  (the contract's arguments)
        """Return the machine fitted on `train`, features included; C, gamma and the sigmoid are chosen on `valid`.

        Raises:
            BadData: There is nothing to fit on, or learning the features diverged.
        """
        training_labels(train), labels_of(valid)  # before seconds of learning
        rbm_seed = seeds.derive(seed, "rbm")
        with hardware.reserved(budget.threads, rbm_seed):
            features, remark = learn_rbm(train.array, self.params, torch.Generator().manual_seed(rbm_seed))
            machine, notes = choose_machine(
                train, valid, features.of(train.array), features.of(valid.array), self.params, seed
            )
        n_learned = machine.n_parameters + features.kernels.numel() + features.bias.numel()
        record = FitRecord(
            patients_of(train, valid), n_learned, notes=notes, departures=() if remark is None else (remark,)
        )
        return FittedRbmSvm(record, features, machine)
