"""A few grey values that stand for a whole image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grandrounds.shapes import Batch, Features, Images

_BLOCK = 2**20  # values of images that are read at a time


def thumbnails(pixels: Images, side: int = 8) -> Features:
    """Return each image as `side` × `side` grey values, (N, side²); each is the mean over its area, and over slices."""
    rows, columns = (area_matrix(length, side) for length in pixels.shape[-2:])
    n_abreast = max(1, _BLOCK // math.prod(pixels.shape[1:]))
    parts = []
    for at in range(0, max(1, len(pixels)), n_abreast):
        block: Batch = np.asarray(pixels[at : at + n_abreast])
        grey = block.mean(axis=tuple(range(1, block.ndim - 2)))  # (B, H, W)
        small = rows @ grey @ columns.T  # (B, side, side)
        parts.append(small.reshape(len(block), side * side).astype(np.float32))  # (B, side²)
    return np.concatenate(parts)


def area_matrix(n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return the matrix (n_out, n_in) that averages over equal stretches; a pixel on a border counts in part.

    >>> area_matrix(4, 2)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    edges = np.linspace(0, n_in, n_out + 1)
    start, stop = edges[:-1, None], edges[1:, None]
    pixel = np.arange(n_in)[None, :]
    overlap = np.minimum(stop, pixel + 1) - np.maximum(start, pixel)
    matrix: NDArray[np.float64] = np.clip(overlap, 0, None) * n_out / n_in
    return matrix
