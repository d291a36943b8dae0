"""What one training is given: labelled images, and what it may do with them."""

from __future__ import annotations

from dataclasses import dataclass

from grandrounds.shapes import ClassIndex, Images
from grandrounds.training.losses import Loss


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images (N, C, H, W) and their classes (N,)."""

    pixels: Images
    labels: ClassIndex


@dataclass(frozen=True, slots=True)
class Plan:
    """What one training may do.

    Args:
        n_epochs: Passes over the training images.
        cap_s: Seconds after which it stops early; None for no cap.
        seed: Fixes the order of images and their augmentation.
        device: Where it runs.
        flips: Whether images may be mirrored.
        loss: What it makes small.
        trunk: Names of parameters that started from published weights.
        trunk_rate: Their learning rate, as a part of the others'.
        any_size: Whether each image is read at its own size, without what lies outside it on its canvas.
    """

    n_epochs: int
    cap_s: float | None
    seed: int
    device: str
    flips: bool
    loss: Loss
    trunk: frozenset[str] = frozenset()
    trunk_rate: float = 1.0
    any_size: bool = False
