"""Images of several sizes on one canvas: which part of each row of an array is its image.

The step `canvas` puts each image into the upper left corner of an equal canvas and fills what lies outside it with one
value that no image has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def _length(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how far each row (N, any) reaches."""
    length: NDArray[np.int64] = inside.shape[1] - inside[:, ::-1].argmax(axis=1)  # (N,)
    return length
