"""Steps that change rows and columns: resize, pad and crop. The geometry stays true."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grandrounds.errors import BadData
from grandrounds.geometry import moved
from grandrounds.image import Image
from grandrounds.prepare.step import Step
from grandrounds.shapes import OUTSIDE, Pixels


class Resize(Step):
    """Rows and columns come in another number; the pixels become float32, so that no grey value is rounded.

    An axis that shrinks is averaged over areas, which lets no fine pattern alias; an axis that grows is interpolated
    linearly.

    Args:
        height_px: Rows wanted.
        width_px: Columns wanted.
    """

    step: Literal["resize"] = "resize"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)

    def __call__(self, image: Image) -> Image:
        """Return the image in the size wanted, with its spacing and origin adapted."""
        pixels = image.pixels.astype(np.float32, copy=False)
        height, width = pixels.shape[-2:]
        if (height, width) == (self.height_px, self.width_px):
            return dataclasses.replace(image, pixels=pixels)
        planes = pixels.reshape(-1, height, width)  # (C·D, H, W)
        resized = np.stack([self._resized(plane) for plane in planes])  # (C·D, height_px, width_px)
        shape = (*pixels.shape[:-2], self.height_px, self.width_px)
        rows, columns = height / self.height_px, width / self.width_px
        # The outer edge stays where it is, so the centre of the first pixel moves by half of what a pixel gains.
        geometry = moved(image.geometry, first_px=((rows - 1) / 2, (columns - 1) / 2), step_px=(rows, columns))
        return dataclasses.replace(image, pixels=resized.reshape(shape), geometry=geometry)

    def _resized(self, plane: NDArray[np.float32]) -> Pixels:
        height, width = min(self.height_px, plane.shape[0]), min(self.width_px, plane.shape[1])
        smaller = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.resize(smaller, (self.width_px, self.height_px), interpolation=cv2.INTER_LINEAR)


class PadCrop(Step):
    """The middle of the image in a given size; padded where the image is smaller.

    Args:
        height_px: Rows wanted.
        width_px: Columns wanted.
        depth_px: Slices wanted of a volume; None for those that it has.
        value: Grey value of the padding, in the unit that the image has at this step.
    """

    step: Literal["pad_crop"] = "pad_crop"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    depth_px: int | None = Field(default=None, ge=1)
    value: float = 0.0

    def __call__(self, image: Image) -> Image:
        """Return the middle of the image, in the type that it had."""
        if self.depth_px is not None and len(image.space) == 2:
            raise BadData("the step 'pad_crop' has a depth, and this is a plane", remedy="leave depth_px out")
        outer = image.space[:-2] if self.depth_px is None else (self.depth_px,)
        return middle(image, (*outer, self.height_px, self.width_px), self.value)


class Canvas(Step):
    """The image as it is in the upper left corner of a canvas, for networks that read images of several sizes.

    What lies outside the image is -1, which no image that was brought to 0 to 1 has; other families see it as a border.

    Args:
        height_px: Rows of the canvas.
        width_px: Columns of the canvas.
        depth_px: Its slices, for volumes of several depths, which take the first ones; None for as many as each has.
    """

    step: Literal["canvas"] = "canvas"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    depth_px: int | None = Field(default=None, ge=1)

    def __call__(self, image: Image) -> Image:
        """Return the canvas with the image, as float32.

        Raises:
            BadData: The image is larger than the canvas, or dark enough to be taken for what lies outside.
        """
        outer = image.space[:-2] if self.depth_px is None else (self.depth_px,)
        sizes = (*outer, self.height_px, self.width_px)
        if len(sizes) != len(image.space):
            raise BadData("the step 'canvas' has a depth, and this is a plane", remedy="leave depth_px out")
        if any(length > size for length, size in zip(image.space, sizes, strict=True)):
            space, canvas = (" × ".join(map(str, one)) for one in (image.space, sizes))
            raise BadData(
                f"an image of {space} pixels does not fit a canvas of {canvas}",
                remedy="make the canvas as large as the largest image",
            )
        if image.pixels.min(initial=0) <= OUTSIDE:
            raise BadData(
                f"grey values of {OUTSIDE:g} and below would be taken for what lies outside the image",
                remedy='bring grey values to 0 to 1 before the step "canvas", for example by "percentiles"',
            )
        floats = dataclasses.replace(image, pixels=image.pixels.astype(np.float32, copy=False))
        return window(floats, [0] * len(sizes), sizes, OUTSIDE)


def middle(image: Image, sizes: Sequence[int], value: float) -> Image:
    """Return the middle of the image in those sizes of its axes of space, in the type that it had.

    Raises:
        BadData: The padding value does not fit the type.
    """
    starts = [-((want - have) // 2) for have, want in zip(image.space, sizes, strict=True)]
    return window(image, starts, sizes, value)


def window(image: Image, starts: Sequence[int], sizes: Sequence[int], value: float) -> Image:
    """Return what a box shows, in the type that the image had; padded where the box reaches beyond the image.

    Args:
        image: Planes or a volume.
        starts: The box's first pixel along each axis of space; negative where it begins before the image.
        sizes: The box's length along each axis of space.
        value: Grey value of the padding.

    Raises:
        BadData: The padding value does not fit the type.
    """
    pixels = image.pixels
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    margins = [
        (min(size, max(0, -start)), min(size, max(0, end - have)))
        for start, end, size, have in zip(starts, ends, sizes, image.space, strict=True)
    ]
    kept = tuple(slice(max(0, start), max(0, end)) for start, end in zip(starts, ends, strict=True))
    cut = pixels[(slice(None), *kept)]
    if any(sum(both) for both in margins):
        filled = np.full((), value).astype(pixels.dtype)
        if filled != value and pixels.dtype.kind != "f":
            raise BadData(f"pixels of the type {pixels.dtype} cannot hold the padding value {value:g}")
        cut = np.pad(cut, [(0, 0), *margins], constant_values=filled)
    geometry = moved(image.geometry, first_px=starts, step_px=[1] * len(starts))
    return dataclasses.replace(image, pixels=np.ascontiguousarray(cut), geometry=geometry)
