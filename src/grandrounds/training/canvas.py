"""Images of several sizes on one canvas: which part of each row of an array is its image.

The step `canvas` puts each image into the upper left corner of an equal canvas, a volume also into its first slices,
and fills what lies outside it with one value that no image has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grandrounds.shapes import OUTSIDE, Batch, Mask


class OfOneSize(NamedTuple):
    """The images of one size.

    Args:
        space: (H, W) of the images, or (D, H, W).
        rows: Which they are, (any,).
    """

    space: tuple[int, ...]
    rows: NDArray[np.int64]


def by_size(pixels: Batch) -> list[OfOneSize]:
    """Return the images (N, C, H, W) of each size, the smallest first; all together where nothing lies outside."""
    inside = inside_of(pixels)  # (N, 1, H, W)
    sides = np.stack([_length(np.any(inside, axis=along)) for along in ((1, 3), (1, 2))], axis=1)  # (N, 2)
    sizes, which = np.unique(sides, axis=0, return_inverse=True)
    return [OfOneSize((int(h), int(w)), np.flatnonzero(which.ravel() == k)) for k, (h, w) in enumerate(sizes)]


def inside_of(pixels: Batch) -> Mask:
    """Return where images (N, C, H, W) have a pixel, (N, 1, H, W)."""
    inside: Mask = (pixels != OUTSIDE).any(axis=1, keepdims=True)
    return inside


def outside_slices(volumes: Tensor) -> Tensor | None:
    """Return which slices of volumes (B, C, D, H, W) lie outside them, (B, D); None where none does, and for planes."""
    if volumes.ndim == 4 or not (volumes[:, 0, :, 0, 0] == OUTSIDE).any():
        return None
    outside = (volumes == OUTSIDE).all(dim=1).flatten(2).all(dim=2)  # (B, D)
    return outside if outside.any() else None


def changed_inside(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return changed images (B, C, …); what lies outside a volume stays there, and nothing of it comes in.

    Args:
        images: Planes, or volumes, of which each has at least one slice.
        change: What is done to them; it is shown each volume continued by its own slices, mirrored at the last one.
    """
    outside = outside_slices(images)
    if outside is None:
        return change(images)
    n_inside = (~outside).sum(dim=1, keepdim=True)  # (B, 1)
    at = torch.arange(outside.shape[1], device=images.device) % (2 * n_inside)  # (B, D)
    mirrored = torch.minimum(at, 2 * n_inside - 1 - at)[:, None, :, None, None].expand_as(images)
    return change(images.gather(2, mirrored)).masked_fill(outside[:, None, :, None, None], OUTSIDE)


def _length(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how far each row (N, any) reaches."""
    length: NDArray[np.int64] = inside.shape[1] - inside[:, ::-1].argmax(axis=1)  # (N,)
    return length
