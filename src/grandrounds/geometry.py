"""Where pixels lie after an image was cut, padded, sampled anew, turned or mirrored: pure functions of `Geometry`.

Everything here counts axes in the order of the array, (slice, row, column) or (row, column). Patient axes point to the
left, to the back and to the head, as in DICOM (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grandrounds.errors import BadData
from grandrounds.image import Geometry

_PLANES = ("sagittal", "coronal", "axial")  # normal to the patient's left, posterior and superior axes
_STRAIGHT = 0.9  # of the largest cosine, for a plane to have a name
Axes = NDArray[np.float64]  # (axes of space, 3): a unit vector for each axis of the array


def axes_of(geometry: Geometry) -> Axes | None:
    """Return the unit vectors along which the array's axes run; None where unknown.

    DICOM names a row's direction first; an array's axes are (slice,) row index, column index.
    """
    if geometry.direction is None:
        return None
    return np.reshape(geometry.direction, (-1, 3))[::-1].astype(np.float64)  # (2, 3) or (3, 3)


def direction_of(axes: Axes) -> tuple[float, ...]:
    """Return the direction cosines of `Geometry` for the unit vectors of an array's axes."""
    return tuple(axes[::-1].ravel().tolist())  # 6 or 9 numbers


def plane_across(normal: NDArray[np.float64] | None) -> str | None:
    """Return the plane that a normal stands on; oblique where no axis of the body is within about 25° of it.

    >>> plane_across(np.array([0.0, -0.1, 0.99])), plane_across(np.array([0.7, 0.7, 0.0]))
    ('axial', 'oblique')

    Args:
        normal: (3,), of length 1; None where nobody knows.
    """
    if normal is None:
        return None
    strongest = int(np.abs(normal).argmax())
    return _PLANES[strongest] if abs(normal[strongest]) >= _STRAIGHT else "oblique"


def position_mm(geometry: Geometry, index: Sequence[float]) -> NDArray[np.float64]:
    """Return where in the patient a pixel lies, (3,).

    Args:
        geometry: With spacing, origin and direction of every axis.
        index: The pixel, (slice, row, column) or (row, column); fractions lie between pixels.

    Raises:
        BadData: The geometry is incomplete.
    """
    axes = axes_of(geometry)
    if geometry.spacing_mm is None or geometry.origin_mm is None or axes is None or len(axes) != len(index):
        raise BadData("the place of a pixel needs spacing, origin and a direction for each axis")
    along_mm = np.array(index, dtype=np.float64) * np.array(geometry.spacing_mm)  # (axes of space,)
    place: NDArray[np.float64] = np.array(geometry.origin_mm) + along_mm @ axes
    return place


def moved(geometry: Geometry, *, first_px: Sequence[float], step_px: Sequence[float]) -> Geometry:
    """Return the geometry of an image that is sampled anew along its last axes.

    Args:
        geometry: As it was.
        first_px: Where the centre of the new first pixel lies, in old pixels from the old one, for each of those axes.
        step_px: How many old pixels one new pixel is, for each of those axes.
    """
    stays = not any(first_px)
    spacing = geometry.spacing_mm
    if spacing is None:
        return geometry if stays else dataclasses.replace(geometry, origin_mm=None)
    n_other = len(spacing) - len(first_px)
    steps = (*(1.0 for _ in range(n_other)), *step_px)
    shift_mm = [first * mm for first, mm in zip(first_px, spacing[n_other:], strict=True)]
    return dataclasses.replace(
        geometry,
        spacing_mm=tuple(mm * step for mm, step in zip(spacing, steps, strict=True)),
        origin_mm=geometry.origin_mm if stays else _shifted(geometry, shift_mm),
    )


def turned(geometry: Geometry, space: Sequence[int], *, order: Sequence[int], flipped: Sequence[bool]) -> Geometry:
    """Return the geometry of an image whose axes are put in another order and partly mirrored.

    Args:
        geometry: As it was.
        space: Lengths of the old axes.
        order: Old axis at each new place.
        flipped: Whether the axis at each new place runs the other way.
    """
    axes = axes_of(geometry)
    known = axes is not None and len(axes) == len(space)
    spacing = geometry.spacing_mm
    origin = geometry.origin_mm
    if any(flipped):
        ends = [0.0] * len(space)
        for axis, flip in zip(order, flipped, strict=True):
            ends[axis] = space[axis] - 1.0 if flip else 0.0
        complete = known and spacing is not None and origin is not None
        origin = _triple(position_mm(geometry, ends)) if complete else None
    signs = np.where(flipped, -1.0, 1.0)[:, None]
    return Geometry(
        spacing_mm=None if spacing is None else tuple(spacing[axis] for axis in order),
        origin_mm=origin,
        direction=direction_of(axes[list(order)] * signs) if axes is not None and known else None,
    )


def _shifted(geometry: Geometry, shift_mm: Sequence[float]) -> tuple[float, float, float] | None:
    axes = axes_of(geometry)
    if geometry.origin_mm is None or axes is None:
        return None  # nobody knows where a shifted image lies that does not say how it is turned
    along = axes[::-1][: len(shift_mm)][::-1]  # those of the last axes; a volume of six cosines lacks its first
    if len(along) < len(shift_mm):
        if shift_mm[0]:
            return None
        shift_mm = shift_mm[1:]
    return _triple(np.array(geometry.origin_mm) + np.array(shift_mm) @ along)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
