"""Steps that change rows and columns: resize, pad and crop. The geometry stays true."""

from __future__ import annotations

import dataclasses
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare.step import Step
from grandrounds.shapes import Pixels


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
        pixels = image.pixels.astype(np.float32)
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
        value: Grey value of the padding, in the unit that the image has at this step.
    """

    step: Literal["pad_crop"] = "pad_crop"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    value: float = 0.0

    def __call__(self, image: Image) -> Image:
        """Return the middle of the image, in the type that it had."""
        pixels = image.pixels
        value = np.array(self.value).astype(pixels.dtype)
        if value != self.value and pixels.dtype.kind != "f":
            raise BadData(f"pixels of the type {pixels.dtype} cannot hold the padding value {self.value:g}")
        (top, bottom), (left, right) = (
            _margins(have, want)
            for have, want in zip(pixels.shape[-2:], (self.height_px, self.width_px), strict=True)
        )  # fmt: skip
        margins = [(0, 0)] * (pixels.ndim - 2) + [(max(0, top), max(0, bottom)), (max(0, left), max(0, right))]
        padded = np.pad(pixels, margins, constant_values=value)
        row, column = max(0, -top), max(0, -left)
        cut = padded[..., row : row + self.height_px, column : column + self.width_px]
        geometry = moved(image.geometry, first_px=(-top, -left), step_px=(1, 1))
        return dataclasses.replace(image, pixels=np.ascontiguousarray(cut), geometry=geometry)


def moved(geometry: Geometry, *, first_px: tuple[float, float], step_px: tuple[float, float]) -> Geometry:
    """Return the geometry of an image that is sampled anew, in the plane of its rows and columns.

    The first three direction cosines point along a row, the others along a column (DICOM PS3.3 C.7.6.2.1.1).

    Args:
        geometry: As it was.
        first_px: Where the centre of the new first pixel lies, in old rows and columns from the old one.
        step_px: How many old rows and columns one new row and column is.
    """
    if geometry.spacing_mm is None:
        return dataclasses.replace(geometry, origin_mm=geometry.origin_mm if first_px == (0, 0) else None)
    *outer, row_mm, column_mm = geometry.spacing_mm
    origin = geometry.origin_mm
    if origin is not None and first_px != (0, 0):
        origin = _shifted(origin, geometry.direction, down_mm=first_px[0] * row_mm, right_mm=first_px[1] * column_mm)
    spacing = (*outer, row_mm * step_px[0], column_mm * step_px[1])
    return dataclasses.replace(geometry, spacing_mm=spacing, origin_mm=origin)


def _shifted(
    origin_mm: tuple[float, float, float], direction: tuple[float, ...] | None, *, down_mm: float, right_mm: float
) -> tuple[float, float, float] | None:
    if direction is None:
        return None  # nobody knows where a shifted image lies that does not say how it is turned
    along_row, along_column = np.array(direction[:3]), np.array(direction[3:6])
    x, y, z = (np.array(origin_mm) + right_mm * along_row + down_mm * along_column).tolist()
    return x, y, z


def _margins(have: int, want: int) -> tuple[int, int]:
    """Return how many pixels come on before and after; negative where they go."""
    before = (want - have) // 2
    return before, want - have - before
