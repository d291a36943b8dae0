"""Steps that sample an image anew: to a spacing in millimetres, or to a stack of fixed size."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from grandrounds.errors import BadData
from grandrounds.geometry import moved
from grandrounds.image import Image
from grandrounds.prepare.needs import require_spacing
from grandrounds.prepare.sampling import sampled, stretched_to
from grandrounds.prepare.space import middle
from grandrounds.prepare.step import Step

_Spacing = Annotated[float, Field(gt=0)]
Fit = Literal["resample", "pad_crop"]


class Resample(Step):
    """Pixels come at a given distance from each other; the middle of the image stays where it is.

    Values are linear means, wide enough where pixels become larger that no fine pattern aliases.

    Args:
        spacing_mm: One distance for every axis, or one each: (row, column), for volumes (slice, row, column).
    """

    step: Literal["resample"] = "resample"
    spacing_mm: _Spacing | tuple[_Spacing, _Spacing] | tuple[_Spacing, _Spacing, _Spacing]

    def __call__(self, image: Image) -> Image:
        """Return the image at that spacing, as float32."""
        have = require_spacing(image, self.step, 'use the step "resize", which counts pixels, or add the spacing')
        want = self.spacing_mm if isinstance(self.spacing_mm, tuple) else (self.spacing_mm,) * len(have)
        if len(want) != len(have):
            raise BadData(
                f"the step 'resample' has {len(want)} distances, this image {len(have)} axes",
                remedy="give one distance for all axes, or one for each",
            )
        step_px = tuple(new / old for new, old in zip(want, have, strict=True))
        sizes = [max(1, round(length / step)) for length, step in zip(image.space, step_px, strict=True)]
        first_px = [
            (length - 1) / 2 - (size - 1) / 2 * step
            for length, size, step in zip(image.space, sizes, step_px, strict=True)
        ]
        pixels = sampled(image.pixels, sizes=sizes, first_px=first_px, step_px=step_px)
        geometry = moved(image.geometry, first_px=first_px, step_px=step_px)
        # The numbers asked for, free of rounding: images of one study then agree on them.
        return dataclasses.replace(image, pixels=pixels, geometry=dataclasses.replace(geometry, spacing_mm=want))


class FormatStack(Step):
    """A volume in a given number of slices, rows and columns; 36×448×448 is what the surveyed knee networks read.

    Args:
        depth_px: Slices wanted.
        height_px: Rows wanted.
        width_px: Columns wanted.
        depth: How the slices come to that number: by linear means along the depth, or by the middle of the stack,
            padded where it is shorter.
        plane: The same for rows and columns.
        value: Grey value of the padding, in the unit that the image has at this step.
    """

    step: Literal["format_stack"] = "format_stack"
    depth_px: int = Field(default=36, ge=1)
    height_px: int = Field(default=448, ge=1)
    width_px: int = Field(default=448, ge=1)
    depth: Fit = "resample"
    plane: Fit = "resample"
    value: float = 0.0

    def __call__(self, image: Image) -> Image:
        """Return the stack in that size, as float32 where something is resampled."""
        if len(image.space) != 3:
            raise BadData("the step 'format_stack' needs a volume, and this is a plane", remedy='use "resize"')
        wanted = (self.depth_px, self.height_px, self.width_px)
        fits = (self.depth, self.plane, self.plane)
        cut = [new if fit == "pad_crop" else old for new, old, fit in zip(wanted, image.space, fits, strict=True)]
        image = middle(image, cut, self.value)
        pixels, first_px, step_px = stretched_to(image.pixels, wanted)
        return dataclasses.replace(
            image, pixels=pixels, geometry=moved(image.geometry, first_px=first_px, step_px=step_px)
        )
