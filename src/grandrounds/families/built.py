"""What building a network gives, and the refusal of images that it cannot read."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from grandrounds.errors import BadData

Shape = tuple[int, int, int]  # (C, H, W)


class Network(NamedTuple):
    """A network that gives logits, and a sentence on what it is."""

    module: nn.Module
    note: str


def at_least(name: str, side_px: int, shape: Shape) -> None:
    """Refuse images that are too small for a network.

    Raises:
        BadData: A side is shorter than that.
    """
    if min(shape[1:]) < side_px:
        raise BadData(
            f"{name} needs images of at least {side_px} pixels a side, these are {shape[1]} × {shape[2]}",
            remedy="resize them in the preparation, or leave this family out",
        )
