"""Rotation-invariant uniform local binary patterns, as histograms.

Reference: Ojala T, Pietikäinen M, Mäenpää T. Multiresolution gray-scale and rotation invariant texture classification
with local binary patterns. IEEE TPAMI 24(7), 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from grandrounds.shapes import Batch, Features

RINGS = ((8, 1), (16, 2), (24, 3))  # points on a circle, its radius in pixels
_GREY_LEVELS = 255  # codes compare neighbours; whole numbers keep rounding noise out of flat regions


def lbp_histograms(pixels: Batch, cells: int = 1) -> Features:
    """Return histograms of pattern codes, (N, cells² · 54); each ring of each cell sums to 1.

    Args:
        pixels: (N, C, H, W), about 0 to 1; channels are averaged.
        cells: The image is divided into that many rows and columns, each with histograms of its own.
    """
    grey = np.rint(pixels.mean(axis=1) * _GREY_LEVELS).astype(np.int32)  # (N, H, W)
    cell = _cell_of_pixel(grey.shape[1], grey.shape[2], cells)
    features = np.empty((len(grey), cells**2 * sum(n_points + 2 for n_points, _ in RINGS)), np.float32)
    for row, image in zip(features, grey, strict=True):
        row[:] = np.concatenate([_histogram(image, cell, n_points, radius) for n_points, radius in RINGS])
    return features


def _cell_of_pixel(height: int, width: int, cells: int) -> NDArray[np.int64]:
    row = np.arange(height)[:, None] * cells // height
    column = np.arange(width)[None, :] * cells // width
    return (row * cells + column).ravel()  # (H · W,)


def _histogram(image: NDArray[np.int32], cell: NDArray[np.int64], n_points: int, radius: int) -> NDArray[np.float64]:
    n_codes = n_points + 2
    codes = local_binary_pattern(image, n_points, radius, method="uniform")  # type: ignore[no-untyped-call]
    n_cells = int(cell.max()) + 1
    counts = np.bincount(cell * n_codes + codes.astype(np.int64).ravel(), minlength=n_cells * n_codes).reshape(
        n_cells, n_codes
    )
    shares: NDArray[np.float64] = (counts / counts.sum(axis=1, keepdims=True)).ravel()  # (cells² · codes,)
    return shares
