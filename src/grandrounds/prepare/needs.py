"""What a step needs to know of where an image lies, or the refusal of one that does not say it."""

from __future__ import annotations

from grandrounds.errors import BadData
from grandrounds.geometry import Axes, axes_of
from grandrounds.image import Image


def require_spacing(image: Image, step: str, remedy: str) -> tuple[float, ...]:
    """Return the spacing for each axis of space.

    Raises:
        BadData: The image does not say it.
    """
    spacing = image.geometry.spacing_mm
    if spacing is None or len(spacing) != len(image.space):
        raise BadData(
            f"the step {step!r} needs the spacing of the pixels, and this image does not say it", remedy=remedy
        )
    return spacing


def require_axes(image: Image, step: str, remedy: str) -> Axes:
    """Return the unit vector of each axis of space.

    Raises:
        BadData: The image does not say how it lies in the patient.
    """
    axes = axes_of(image.geometry)
    if axes is None or len(axes) != len(image.space):
        raise BadData(
            f"the step {step!r} needs the direction of every axis, and this image does not say it", remedy=remedy
        )
    return axes
