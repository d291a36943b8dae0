"""The input layer of a network: what it takes away from, and does to, each image; fitted on training images alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from grandrounds.errors import BadData
from grandrounds.families.state import Arrays
from grandrounds.shapes import Images
from grandrounds.training.canvas import inside_of
from grandrounds.training.spec import InputKind

_MOST_VALUES = 64 * 64  # whitening decomposes a matrix of these squared, which takes a core half a minute
_MOST_DIRECTIONS = 1024  # those of least variance are mostly noise
_EPSILON = 0.01  # part of the mean variance that is added to each, so that hardly any variance is not blown up
_ROWS = 1024  # images in double precision at a time
_BLOCK = 2**20  # values of images that are read at a time
_Float = NDArray[np.float64]

ANY_SIZE: frozenset[InputKind] = frozenset({"channel", "none", "half"})  # the others have a number for each pixel

_NOTES: Mapping[InputKind, str] = {
    "channel": "input: each channel by its mean and standard deviation in training",
    "none": "input: as prepared",
    "half": "input: 0 to 1 become −1 to 1",
    "mean": "input: each pixel less its mean in training",
    "scale": "input: each pixel by its mean and standard deviation in training",
    "pca": "input: {} principal components of the training images, whitened",
    "zca": "input: whitened by ZCA along {} directions of the training images",
}


class InputLayer(nn.Module):
    """Images (B, C, …) less a mean, divided by a deviation, and perhaps whitened; the shape stays.

    Args:
        kind: What is done.
        arrays: The numbers that fitting gave: `mean` and `sd` for an image or its channels, `into` (k, values) for
            whitening, `back` (values, k) from there to an image. None of them for `"none"`.
    """

    def __init__(self, kind: InputKind, arrays: Arrays) -> None:
        super().__init__()
        self.kind = kind
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))

    @property
    def note(self) -> str:
        """What a reader should be told."""
        into = self._buffers.get("into")
        return _NOTES[self.kind].format("" if into is None else len(into))

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        if self.kind == "none":
            return images
        mean, sd, into, back = (self._buffers.get(name) for name in ("mean", "sd", "into", "back"))
        centred = images - mean if mean is not None else images
        if sd is not None:
            return centred / sd
        if into is None:
            return centred
        components = centred.flatten(1) @ into.T  # (B, k)
        if back is not None:
            components = components @ back.T  # (B, values)
        n_absent = centred[0].numel() - components.shape[1]
        return nn.functional.pad(components, (0, n_absent)).view(centred.shape)  # (B, C, …), components row by row


def fitted(kind: InputKind, pixels: Images, *, canvas: bool = False) -> InputLayer:
    """Return the layer fitted on training images (N, C, …).

    PCA whitening divides each principal component by its standard deviation; ZCA turns the result back, which changes
    the image least: Bell & Sejnowski, Vision Res 1997;37:3327; Krizhevsky, Tech. report, Toronto 2009.

    Args:
        kind: What is to be done.
        pixels: The images.
        canvas: Whether they may lie on a canvas, of which what is inside an image counts. Only `"channel"` asks.

    Raises:
        BadData: The images have too many values for whitening.
    """
    n_axes = len(pixels.shape)
    if kind == "none":
        return InputLayer(kind, {})
    if kind == "half":
        half = np.full((pixels.shape[1], *(1,) * (n_axes - 2)), 0.5)
        return InputLayer(kind, {"mean": half, "sd": half})
    if kind == "channel":
        mean, sd = _moments(pixels, (0, *range(2, n_axes)), canvas=canvas)  # (C,)
        return InputLayer(kind, {"mean": _of_channels(mean, n_axes), "sd": _of_channels(_no_zero(sd), n_axes)})
    mean, sd = _moments(pixels, (0,))  # (C, …)
    if kind == "mean":
        return InputLayer(kind, {"mean": mean})
    if kind == "scale":
        return InputLayer(kind, {"mean": mean, "sd": _no_zero(sd)})
    variances, directions = _principal(pixels, mean)
    into = directions.T / np.sqrt(variances + _EPSILON * variances.sum() / mean.size)[:, None]  # (k, values)
    return InputLayer(kind, {"mean": mean, "into": into} | ({"back": directions} if kind == "zca" else {}))


def refuse_canvas(kind: InputKind, *images: Images) -> None:
    """Refuse volumes that lie on a canvas where each pixel is to have a number of its own.

    Raises:
        BadData: Some of them have fewer slices than others.
    """
    if kind in ANY_SIZE:
        return
    for pixels in images:
        n_rows = max(1, _BLOCK // math.prod(pixels.shape[1:]))
        starts = range(0, len(pixels), n_rows)
        if not all(inside_of(np.asarray(pixels[start : start + n_rows])).all() for start in starts):
            raise BadData(
                f'input = "{kind}" needs volumes of one size, and these lie on a canvas of {pixels.shape[2]} slices',
                remedy='set input = "channel", "half" or "none" for this family',
            )


def _moments(pixels: Images, axes: tuple[int, ...], *, canvas: bool = False) -> tuple[_Float, _Float]:
    """Return mean and standard deviation along axes, of which the first is that of the images, read block by block.

    Reference: Chan, Golub, LeVeque, Algorithms for computing the sample variance, Am Stat 1983;37:242.
    """
    n_rows = max(1, _BLOCK // math.prod(pixels.shape[1:]))
    mean, variance, n = np.float64(0), np.float64(0), 0
    for start in range(0, len(pixels), n_rows):
        values = np.asarray(pixels[start : start + n_rows])
        where = inside_of(values) if canvas else True
        its_mean, its_variance = (of(axis=axes, dtype=np.float64, where=where) for of in (values.mean, values.var))
        n_new = int(np.count_nonzero(where)) if canvas else len(values)
        n += n_new
        share = n_new / n
        gap = its_mean - mean
        variance = (1 - share) * variance + share * its_variance + share * (1 - share) * gap**2
        mean = mean + share * gap
    return np.asarray(mean), np.sqrt(variance)


def _principal(pixels: Images, mean: _Float) -> tuple[_Float, _Float]:
    """Return variances (k,) from the greatest, and unit vectors (values, k) along them."""
    n_images, n_values = len(pixels), mean.size
    if n_values > _MOST_VALUES:
        raise BadData(
            f"whitening needs images of at most {_MOST_VALUES} values (64×64), these have "
            f"{'×'.join(map(str, mean.shape))} = {n_values}",
            remedy='resize the images in the preparation, or choose input = "channel"',
        )
    scatter = np.zeros((n_values, n_values))
    for start in range(0, n_images, _ROWS):
        centred = (np.asarray(pixels[start : start + _ROWS]) - mean).reshape(-1, n_values)  # (rows, values)
        scatter += centred.T @ centred
    # Fewer images than values say nothing about the other directions, and those of no variance nothing at all.
    k = max(1, min(n_values, n_images - 1, _MOST_DIRECTIONS))
    variances, directions = scipy.linalg.eigh(
        scatter / max(1, n_images - 1), subset_by_index=(n_values - k, n_values - 1)
    )
    variances, directions = variances[::-1].clip(0), directions[:, ::-1]
    # A direction may point both ways; the way of its greatest value makes it one.
    greatest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return np.where(variances.sum() > 0, variances, 1.0), directions * np.where(greatest < 0, -1.0, 1.0)


def _of_channels(values: _Float, n_axes: int) -> _Float:
    return values.reshape(-1, *(1,) * (n_axes - 2))  # (C, 1, 1) or (C, 1, 1, 1)


def _no_zero(sd: _Float) -> _Float:
    return np.where(sd == 0, 1.0, sd)
