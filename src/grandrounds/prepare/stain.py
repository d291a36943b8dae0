"""Colour normalisation of stained tissue."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.step import Step
from grandrounds.shapes import Pixels

_WHITE = 240.0  # light through glass alone, of 255
# Haematoxylin and eosin: optical densities of red, green, blue, and the 99th percentile of their amounts, as published
# with the authors' own program. Constants: nothing is taken from the images of a study.
_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
_MOST = np.array([1.9705, 1.0308])
_LEAST_TISSUE_PX = 100  # fewer say nothing about their colours
_Float = NDArray[np.float64]


class Stain(Step):
    """Haematoxylin and eosin are told apart in each image by its own colours and put back in reference colours.

    Macenko et al., ISBI 2009: the two stains span a plane in optical density, and in it they are the extreme
    directions of the tissue's pixels. An image with hardly any tissue stays as it is.

    Args:
        least_density: Pixels that let more light through than this optical density are glass.
        percent: Percentile, from both ends, of the angles that count as extreme.
    """

    step: Literal["stain"] = "stain"
    least_density: float = Field(default=0.15, gt=0)
    percent: float = Field(default=1.0, gt=0, lt=50)

    def __call__(self, image: Image) -> Image:
        """Return the image in reference colours, 8 bits."""
        if image.pixels.dtype != np.uint8 or image.pixels.shape[0] != 3 or image.pixels.ndim != 3:
            raise BadData(
                f"colour normalisation needs red, green and blue of 8 bits; this is {image.pixels.dtype} "
                f"in the shape {image.pixels.shape}",
                remedy='put "stain" before the steps that change grey values, or leave it out',
            )
        density = -np.log((image.pixels.astype(np.float64) + 1) / _WHITE).reshape(3, -1).T  # (pixels, 3)
        tissue = density[(density > self.least_density).all(axis=1)]
        if len(tissue) < _LEAST_TISSUE_PX:
            return image
        amounts = np.linalg.lstsq(self._stains(tissue).T, density.T, rcond=None)[0]  # (2, pixels)
        most = np.percentile(amounts, 99, axis=1)
        amounts = amounts * (_MOST / np.where(most > 0, most, 1.0))[:, None]
        colours = _WHITE * np.exp(-_STAINS.T @ amounts)  # (3, pixels)
        pixels: Pixels = colours.clip(0, 255).round().astype(np.uint8).reshape(image.pixels.shape)  # (3, H, W)
        return dataclasses.replace(image, pixels=pixels)

    def _stains(self, tissue: _Float) -> _Float:
        """Return the optical densities of haematoxylin and eosin in this image, (2, 3), of length 1."""
        _, vectors = np.linalg.eigh(np.cov(tissue.T))
        plane = vectors[:, [2, 1]]  # (3, 2): the two directions of greatest variance
        plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)  # their sign is free; angles need one
        across, along = (tissue @ plane).T[::-1]
        low, high = np.percentile(np.arctan2(across, along), [self.percent, 100 - self.percent])
        extremes = np.array([plane @ (np.cos(angle), np.sin(angle)) for angle in (low, high)])  # (2, 3)
        # Haematoxylin, the blue stain, takes out more of the red light.
        ordered: _Float = extremes[np.argsort(-extremes[:, 0])]
        return ordered
