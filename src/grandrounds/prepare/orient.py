"""Steps that turn an image: volumes to a given orientation, one side to the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, field_validator
from scipy.optimize import linear_sum_assignment

from grandrounds.errors import BadData
from grandrounds.geometry import axes_of, turned
from grandrounds.image import Image
from grandrounds.prepare.needs import require_axes
from grandrounds.prepare.step import Step

# Which patient axis a letter speaks of, and whether it runs against it; the axes point to left, posterior, superior.
_LETTERS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


class Reorient(Step):
    """A volume whose axes run as asked for: they change places and are mirrored, and no value changes.

    Args:
        orientation: Where columns, rows and slices run to, in this order: L or R, P or A, S or I. `"LPS"` is the
            axial stack as radiologists look at it, from the feet upwards.
    """

    step: Literal["reorient"] = "reorient"
    orientation: str = Field(default="LPS", min_length=3, max_length=3)

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, letters: str) -> str:
        if {_LETTERS.get(letter, (None, 0))[0] for letter in letters} != {0, 1, 2}:
            raise ValueError(f"{letters!r} does not name three axes: one of L R, one of P A, one of S I, as in 'LPS'")
        return letters

    def __call__(self, image: Image) -> Image:
        """Return the volume in that orientation."""
        if len(image.space) != 3:
            raise BadData("the step 'reorient' needs a volume, and this is a plane", remedy="leave the step out")
        axes = require_axes(
            image,
            self.step,
            "read files that say how they lie (DICOM, NIfTI, NRRD); or leave the step out of the study",
        )
        # An oblique axis counts for the patient axis that it is nearest to, and no two for the same.
        _, nearest = linear_sum_assignment(-np.abs(axes))  # patient axis of each array axis
        wanted = [_LETTERS[letter] for letter in reversed(self.orientation)]  # array order: slices, rows, columns
        order = [nearest.tolist().index(patient) for patient, _ in wanted]
        flipped = [bool(axes[axis, patient] * sign < 0) for axis, (patient, sign) in zip(order, wanted, strict=True)]
        return _turned(image, order, flipped)


class MirrorSide(Step):
    """Left and right body parts look alike: images of the other side are mirrored between left and right.

    The side comes from the samples table or, where that does not say, from the file's header. Where the image says how
    it lies in the patient, the axis between left and right is mirrored, and a plane that this axis crosses (a sagittal
    one) stays as it is. A plane that does not say so is mirrored along its rows, as a plain radiograph is seen.

    Args:
        side: The side that stays as it is.
    """

    step: Literal["mirror_side"] = "mirror_side"
    side: Literal["left", "right"] = "right"

    def __call__(self, image: Image) -> Image:
        """Return the image as one of the wanted side."""
        said = _SIDES.get(image.header.get("side", "").strip().lower())
        if said is None:
            raise BadData(
                "the step 'mirror_side' needs to know whether this is a left or a right side, and nothing says so",
                remedy='name the table\'s column with the option "side", or leave the step out',
            )
        axis = None if said == self.side else _left_right_axis(image)
        if axis is None:
            return image
        n_axes = len(image.space)
        return _turned(image, range(n_axes), [one == axis for one in range(n_axes)])


def _left_right_axis(image: Image) -> int | None:
    """Return the axis of space that runs between left and right; None for a plane that it crosses."""
    axes = axes_of(image.geometry)
    if axes is None and len(image.space) == 2:
        return 1
    if axes is None:
        axes = require_axes(image, "mirror_side", "give planes, or read files that say how they lie (DICOM, NIfTI)")
    if len(axes) == 2:
        axes = np.vstack([axes, np.cross(axes[1], axes[0])])  # (3, 3): what crosses the plane stands last
    nearest = int(np.abs(axes[:, 0]).argmax())
    return nearest if nearest < len(image.space) else None


def _turned(image: Image, order: Sequence[int], flipped: Sequence[bool]) -> Image:
    pixels = image.pixels.transpose(0, *(1 + axis for axis in order))  # (C, …) in the new order
    pixels = np.flip(pixels, tuple(1 + place for place, flip in enumerate(flipped) if flip))
    geometry = turned(image.geometry, image.space, order=order, flipped=flipped)
    return dataclasses.replace(image, pixels=np.ascontiguousarray(pixels), geometry=geometry)
