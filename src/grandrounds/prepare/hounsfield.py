"""A step that states what a file does not say: its pixels are Hounsfield units."""

from __future__ import annotations

import dataclasses
from typing import Literal

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.step import Step

_AIR_HU = -500  # every CT shows some air: about -1000 HU


class Hounsfield(Step):
    """You state that the pixels are Hounsfield units, for NIfTI, NRRD and MetaImage files of CT cannot say so."""

    step: Literal["hounsfield"] = "hounsfield"

    def __call__(self, image: Image) -> Image:
        """Return the image with its unit stated; values that cannot be Hounsfield units of a CT are refused."""
        if image.unit == "hu":
            return image
        lowest = float(image.pixels.min())
        if lowest > _AIR_HU:
            raise BadData(
                f"these cannot be the Hounsfield units of a CT: the lowest is {lowest:g}, and air is about -1000",
                remedy='leave out the step "hounsfield", and use "scale" or "percentiles"',
            )
        return dataclasses.replace(image, unit="hu")
