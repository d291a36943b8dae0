"""A few grey values that stand for a whole image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grandrounds.shapes import Batch, Features


def thumbnails(pixels: Batch, side: int = 8) -> Features:
    """Return each image as `side` × `side` grey values, (N, side²); each is the mean over its area."""
    rows = area_matrix(pixels.shape[2], side)
    columns = area_matrix(pixels.shape[3], side)
    grey = pixels.mean(axis=1)  # (N, H, W)
    small = rows @ grey @ columns.T  # (N, side, side)
    flat: Features = small.reshape(len(pixels), side * side).astype(np.float32)  # (N, side²)
    return flat


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
