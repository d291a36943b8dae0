"""What building a network gives, and the refusal of images that it cannot read."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds.errors import BadData

Shape = tuple[int, int, int]  # (C, H, W)


class Network(NamedTuple):
    """A network that gives logits, and a sentence on what it is.

    Args:
        trunk: Names of the parameters that started from published weights.
        licence: Of those weights; None where there are none, or nobody says.
    """

    module: nn.Module
    note: str
    trunk: frozenset[str] = frozenset()
    licence: str | None = None


def resized_to(side_px: int | None, shape: Shape) -> Shape:
    """Return the (C, H, W) of images whose shorter side is brought to `side_px`; as they are for None.

    >>> resized_to(56, (1, 28, 28)), resized_to(64, (3, 96, 128)), resized_to(None, (1, 28, 30))
    ((1, 56, 56), (3, 64, 85), (1, 28, 30))
    """
    if side_px is None:
        return shape
    factor = side_px / min(shape[1:])
    return shape[0], round(shape[1] * factor), round(shape[2] * factor)


def resize(images: Tensor, side_px: int | None) -> Tensor:
    """Return images (B, C, H, W) whose shorter side is `side_px`."""
    n_channels, height, width = images.shape[1:]
    size = resized_to(side_px, (n_channels, height, width))[1:]
    if size == (height, width):
        return images
    shrinks = size[0] < height
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=shrinks)


def at_least(name: str, side_px: int, shape: Shape) -> None:
    """Refuse images that are too small for a network.

    Raises:
        BadData: A side is shorter than that.
    """
    if min(shape[1:]) < side_px:
        raise BadData(
            f"{name} needs images of at least {side_px} pixels a side, these are {shape[1]} × {shape[2]}",
            remedy=f"set side_px = {side_px} for this family, resize them in the preparation, or leave it out",
        )
