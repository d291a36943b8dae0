"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

import dataclasses
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.step import Step
from grandrounds.shapes import Pixels


class Clahe(Step):
    """Local contrast is evened out, slice by slice and channel by channel, up to a limit.

    8-bit images have 256 grey values to spread. 16-bit images have 65,536, so that in a small tile hardly any two
    pixels share one and the limit hardly bites. Floats within 0 to 1 are brought to 8 bits and back.

    Args:
        clip: Greatest height of a histogram bin, as a multiple of the mean height.
        tiles: Tiles along each axis.
    """

    step: Literal["clahe"] = "clahe"
    clip: float = Field(default=2.0, gt=0)
    tiles: int = Field(default=8, ge=1)

    def __call__(self, image: Image) -> Image:
        """Return the image with even contrast, in the type that it had (floats as float32)."""
        pixels = image.pixels
        even: Pixels
        if pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1:
            even = self._equalised((pixels * 255).round().astype(np.uint8)).astype(np.float32) / 255
        elif pixels.dtype in (np.uint8, np.uint16):
            even = self._equalised(pixels)
        else:
            raise BadData(
                f"CLAHE needs 8 or 16 bits, or floats within 0 to 1; these pixels are {pixels.dtype}",
                remedy='put "window", "scale" or "percentiles" before "clahe"',
            )
        return dataclasses.replace(image, pixels=even)

    def _equalised(self, pixels: Pixels) -> Pixels:
        clahe = cv2.createCLAHE(clipLimit=self.clip, tileGridSize=(self.tiles, self.tiles))
        planes = np.ascontiguousarray(pixels).reshape(-1, *pixels.shape[-2:])  # (C·D, H, W)
        return np.stack([clahe.apply(plane) for plane in planes]).reshape(pixels.shape)  # as it came
