"""A network that reads images of any size: whatever the size of its last maps, a pyramid of pools makes one length.

Reference: He K, Zhang X, Ren S, Sun J. Spatial pyramid pooling in deep convolutional networks for visual recognition.
IEEE TPAMI 2015;37:1904. The pyramid is the paper's; the layers below it are ours, for small images.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

SHRINKS = 4  # by two poolings


class PyramidPool(nn.Module):
    """Maps (B, C, H, W) of any size to (B, C · Σ cells²): the greatest value of each cell of each level."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, maps: Tensor) -> Tensor:
        """Return one row per image, (B, C · Σ cells²)."""
        return torch.cat([F.adaptive_max_pool2d(maps, cells).flatten(1) for cells in self.levels], dim=1)


class PyramidNet(nn.Module):
    """Three stages of two convolutions, a pyramid, two dense layers.

    Args:
        width: Channels of the first stage; each stage has twice as many.
        levels: Cells a side of each level of the pyramid.
        average: Whether the poolings between stages average; else they take the greatest value.
    """

    def __init__(
        self, n_channels: int, n_classes: int, *, width: int, levels: tuple[int, ...], dropout: float, average: bool
    ) -> None:
        super().__init__()
        channels = (n_channels, width, 2 * width, 4 * width)
        stages: list[nn.Module] = []
        for stage, (before, after) in enumerate(pairwise(channels)):
            if stage:
                stages.append(nn.AvgPool2d(2) if average else nn.MaxPool2d(2))
            stages += [*_convolution(before, after), *_convolution(after, after)]
        n_pooled = channels[-1] * sum(cells**2 for cells in levels)
        self.texture = nn.Sequential(*stages)  # (B, 4 · width, H / 4, W / 4)
        self.pyramid = PyramidPool(levels)  # (B, 4 · width · Σ cells²)
        self.decision = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(n_pooled, 4 * width), nn.ReLU(), nn.Linear(4 * width, n_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W) of any size."""
        logits: Tensor = self.decision(self.pyramid(self.texture(images)))
        return logits


def _convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
