"""Linear sampling of one axis at other places, without aliasing where the new pixels are larger than the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from grandrounds.shapes import Pixels

_Sparse = Any  # scipy's sparse arrays; their types do not follow a product with a plain array


def sampled(
    pixels: Pixels, *, sizes: Sequence[int], first_px: Sequence[float], step_px: Sequence[float]
) -> Pixels:  # fmt: skip
    """Return the pixels sampled anew along their last axes, as float32.

    Each new pixel is a mean with weights of a triangle that reaches to the next pixel on both sides: the next old one
    where pixels become smaller (linear interpolation), the next new one where they become larger, so that no fine
    pattern aliases. This is what Pillow calls BILINEAR and torch `antialias=True`. Beyond the edge nothing is read.

    Args:
        pixels: (…, n₁, n₂, …), with as many last axes as there are sizes.
        sizes: New length of each of those axes.
        first_px: Place of the first new pixel's centre, in old pixels.
        step_px: Old pixels from one new pixel to the next.
    """
    out: Pixels = np.asarray(pixels, dtype=np.float32)
    for axis, size, first, step in zip(range(-len(sizes), 0), sizes, first_px, step_px, strict=True):
        if (size, first, step) != (out.shape[axis], 0.0, 1.0):
            out = _along(out, axis, _weights(out.shape[axis], size, first, step))
    return out


def stretched_to(pixels: Pixels, sizes: Sequence[int]) -> tuple[Pixels, tuple[float, ...], tuple[float, ...]]:
    """Return the pixels with the last axes in new lengths over the same extent, `first_px` and `step_px`."""
    lengths = pixels.shape[-len(sizes) :]
    step_px = tuple(length / size for length, size in zip(lengths, sizes, strict=True))
    # The outer edge stays where it is, so the centre of the first pixel moves by half of what a pixel gains.
    first_px = tuple((step - 1) / 2 for step in step_px)
    return sampled(pixels, sizes=sizes, first_px=first_px, step_px=step_px), first_px, step_px


def _weights(n_in: int, n_out: int, first: float, step: float) -> _Sparse:
    """Return (n_out, n_in): the part of each old pixel in each new one; rows sum to 1."""
    reach = max(1.0, step)
    # A place beyond the edge takes the pixel at the edge, as if the image went on so.
    places = np.clip(first + step * np.arange(n_out), 0, n_in - 1)  # (n_out,)
    n_near = 2 * int(np.ceil(reach)) + 1
    near = np.round(places).astype(int)[:, None] + np.arange(n_near) - n_near // 2  # (n_out, n_near)
    weights = np.clip(1 - np.abs(near - places[:, None]) / reach, 0, None) * ((near >= 0) & (near < n_in))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(n_out), n_near)
    content = (weights.ravel().astype(np.float32), (rows, near.clip(0, n_in - 1).ravel()))
    return sparse.csr_array(content, shape=(n_out, n_in))


def _along(pixels: Pixels, axis: int, weights: _Sparse) -> Pixels:
    first = np.moveaxis(pixels, axis, 0)  # (n_in, …)
    # Sparse sums run in one fixed order, so that the same image gives the same bits on any number of threads.
    out = np.asarray(weights @ first.reshape(len(first), -1))  # (n_out, any)
    return np.ascontiguousarray(np.moveaxis(out.reshape(-1, *first.shape[1:]), 0, axis))  # axes as they came
