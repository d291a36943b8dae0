"""How many images are read at once: of volumes, no more than memory surely holds; known without torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

MOST_VALUES = 2**23  # voxels at once, one stack of 36×448×448; a thin network keeps some hundred bytes for each


def at_once(space: tuple[int, ...], n: int, n_series: int = 1) -> int:
    """Return how many of `n` images of that space, (H, W) or (D, H, W), a network reads at once.

    Args:
        space: Of a series.
        n: How many there are.
        n_series: How many series of an exam the network reads side by side.

    >>> at_once((64, 64), 32), at_once((16, 64, 64), 8), at_once((36, 448, 448), 8)
    (32, 8, 1)
    >>> at_once((36, 224, 224), 8), at_once((36, 224, 224), 8, n_series=2)
    (4, 2)
    """
    return n if len(space) == 2 else max(1, min(n, MOST_VALUES // (n_series * math.prod(space))))


def n_batches_of(n_images: int, n_batch: int) -> int:
    """Return in how many batches of nearly equal size images are read; a norm over one alone has no deviation.

    >>> n_batches_of(100, 32), n_batches_of(3, 2), n_batches_of(1, 32)
    (3, 1, 1)
    """
    return max(1, min(n_images // 2, round(n_images / n_batch)))


def n_parts(space: tuple[int, ...], n_batch: int, n_series: int = 1) -> int:
    """Return in how many parts a batch of images is read, whose gradients are added up.

    >>> n_parts((16, 64, 64), 8), n_parts((36, 448, 448), 8)
    (1, 8)
    """
    return -(-n_batch // at_once(space, n_batch, n_series))


def n_slices(space: tuple[int, ...]) -> int:
    """Return how many planes an image of that space, (H, W) or (D, H, W), is."""
    return math.prod(space[:-2])


def n_series_of(network: nn.Module) -> int:
    """Return how many series of an exam a network reads side by side, each with all of its slices."""
    return max(getattr(part, "n_series", 1) for part in network.modules())
