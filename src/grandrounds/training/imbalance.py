"""How unequal class sizes are met while fitting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grandrounds.shapes import ClassIndex, Weights
from grandrounds.training.spec import Imbalance

_UNEQUAL = 3  # "auto" weighs from this ratio of the commonest to the rarest class on


class ClassWeights(NamedTuple):
    """One weight per class, and the sentence that a report prints about them."""

    weights: Weights
    note: str


def class_weights(labels: ClassIndex, n_classes: int, mode: Imbalance) -> ClassWeights:
    """Return weights (K,) of mean 1 over the training images; all 1 where classes are not to be weighed.

    Learned from training labels alone. A class without training images weighs nothing.
    """
    counts = np.bincount(labels, minlength=n_classes)
    present = counts > 0
    ratio = counts[present].max() / counts[present].min()
    if mode == "none" or (mode == "auto" and ratio <= _UNEQUAL):
        return ClassWeights(np.ones(n_classes), f"no class weights (commonest to rarest class {ratio:.1f} to 1)")
    weights = np.zeros(n_classes)
    weights[present] = len(labels) / (present.sum() * counts[present])
    note = f"class weights by inverse frequency (commonest to rarest class {ratio:.1f} to 1)"
    return ClassWeights(weights, note)
