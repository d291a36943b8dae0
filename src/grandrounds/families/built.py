"""What building a network gives, and the refusal of images that it cannot read."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds.errors import BadData

Shape = tuple[int, ...]  # (C, H, W), of volumes (C, D, H, W)


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
    """Return the shape of images whose shorter side is brought to `side_px`; as they are for None.

    >>> resized_to(56, (1, 28, 28)), resized_to(64, (3, 96, 128)), resized_to(None, (1, 28, 30))
    ((1, 56, 56), (3, 64, 85), (1, 28, 30))
    >>> resized_to(56, (1, 16, 28, 28))
    (1, 16, 56, 56)
    """
    if side_px is None:
        return shape
    height, width = shape[-2:]
    factor = side_px / min(height, width)
    return *shape[:-2], round(height * factor), round(width * factor)


def resize(images: Tensor, side_px: int | None) -> Tensor:
    """Return images (B, C, H, W) whose shorter side is `side_px`; of volumes (B, C, D, H, W), that of each slice."""
    size = resized_to(side_px, tuple(images.shape))[-2:]
    if size == images.shape[-2:]:
        return images
    shrinks = size[0] < images.shape[-2]
    planes = images.flatten(1, -3)  # (B, C, H, W), of volumes (B, C·D, H, W)
    resized = F.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=shrinks)
    return resized.view(*images.shape[:-2], *size)


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
