"""Rotation-invariant uniform local binary patterns, as histograms.

The arithmetic is scikit-image's to the last bit (bilinear interpolation at circle points rounded to five digits, zeros
around the image), for in flat regions the rounding decides a code. What differs is the order of the loops: point by
point along a row, so that a processor compares several pixels at once.

Reference: Ojala T, Pietikäinen M, Mäenpää T. Multiresolution gray-scale and rotation invariant texture classification
with local binary patterns. IEEE TPAMI 24(7), 2002.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.compiled import compiled
from grandrounds.shapes import Batch, Features

RINGS = ((8, 1), (16, 2), (24, 3))  # points on a circle, its radius in pixels
_GREY_LEVELS = 255  # codes compare neighbours; whole numbers keep rounding noise out of flat regions
_BLOCK_PX = 2**20  # pixels at once, which bounds the memory


def lbp_histograms(pixels: Batch, cells: int = 1) -> Features:
    """Return histograms of pattern codes, (N, cells² · 54); each ring of each cell sums to 1.

    Args:
        pixels: (N, C, H, W), about 0 to 1; channels are averaged.
        cells: The image is divided into that many rows and columns, each with histograms of its own.
    """
    n, _, height, width = pixels.shape
    cell = _cell_of_pixel(height, width, cells)
    features = np.empty((n, cells**2 * sum(n_points + 2 for n_points, _ in RINGS)), np.float32)
    rows = max(1, _BLOCK_PX // (height * width))
    for start in range(0, n, rows):
        block = slice(start, start + rows)
        grey = np.rint(pixels[block].mean(axis=1) * _GREY_LEVELS)  # (B, H, W)
        rings = [_shares(lbp_codes(grey, n_points, radius), cell, n_points + 2) for n_points, radius in RINGS]
        features[block] = np.concatenate(rings, axis=1)
    return features


def lbp_codes(grey: NDArray[Any], n_points: int, radius: int) -> NDArray[np.uint8]:
    """Return the code of each pixel, (N, H, W): how many points of the circle are no darker, or one more than all.

    That one more is the code of every pattern which changes more than twice along the circle.

    Args:
        grey: (N, H, W), whole numbers.
        n_points: Points on the circle.
        radius: Its radius in pixels.
    """
    angle = 2 * np.pi * np.arange(n_points) / n_points
    codes = np.empty(grey.shape, np.uint8)
    margin = radius + 1  # of zeros, so that no point of a circle has to be checked
    padded = np.pad(grey.astype(np.float64), ((0, 0), (margin, margin), (margin, margin)))
    _encode(padded, np.round(-radius * np.sin(angle), 5), np.round(radius * np.cos(angle), 5), margin, codes)
    return codes


def _cell_of_pixel(height: int, width: int, cells: int) -> NDArray[np.int64]:
    row = np.arange(height)[:, None] * cells // height
    column = np.arange(width)[None, :] * cells // width
    return (row * cells + column).ravel()  # (H · W,)


def _shares(codes: NDArray[np.uint8], cell: NDArray[np.int64], n_codes: int) -> NDArray[np.float64]:
    n, n_cells = len(codes), int(cell.max()) + 1
    at = (np.arange(n)[:, None] * n_cells + cell) * n_codes + codes.reshape(n, -1)  # (N, H · W)
    counts = np.bincount(at.ravel(), minlength=n * n_cells * n_codes).reshape(n, n_cells, n_codes)
    shares: NDArray[np.float64] = (counts / counts.sum(axis=2, keepdims=True)).reshape(n, n_cells * n_codes)
    return shares


@compiled
def _encode(
    padded: NDArray[np.float64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
    margin: int,
    codes: NDArray[np.uint8],
) -> None:
    n, height, width = codes.shape
    n_points = len(down)
    left = np.floor(right).astype(np.int64)
    part = np.empty((n_points, width))  # how far a point lies past the pixel on its left
    for point in range(n_points):
        for column in range(width):
            part[point, column] = column + right[point] - np.floor(column + right[point])
    before, n_changes, n_up = np.empty(width), np.empty(width), np.empty(width)
    for one in range(n):
        for row in range(height):
            centre = padded[one, margin + row, margin : margin + width]
            n_changes[:] = 0.0
            n_up[:] = 0.0
            for point in range(n_points):
                top = int(np.floor(row + down[point]))
                low = row + down[point] - top
                start = margin + left[point]
                above = padded[one, margin + top, start : start + width + 1]
                below = padded[one, margin + top + 1, start : start + width + 1]
                for column in range(width):
                    p = part[point, column]
                    upper = (1 - p) * above[column] + p * above[column + 1]
                    lower = (1 - p) * below[column] + p * below[column + 1]
                    value = (1 - low) * upper + low * lower
                    up = 1.0 if value - centre[column] >= 0 else 0.0
                    n_up[column] += up
                    n_changes[column] += abs(up - before[column]) if point > 0 else 0.0
                    before[column] = up
            for column in range(width):
                codes[one, row, column] = n_up[column] if n_changes[column] <= 2 else n_points + 1
