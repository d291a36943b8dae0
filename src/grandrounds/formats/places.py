"""Where volumes and their slices lie in space: geometry alone, no pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grandrounds.image import Geometry


def stacked(geometries: Sequence[Geometry]) -> Geometry:
    """Return the geometry of a volume, with the direction from its first slice to its last."""
    first = geometries[0]
    if first.direction is None or any(one.origin_mm is None for one in geometries):
        across_mm = None
        direction, origin = first.direction, first.origin_mm
    else:
        direction, origin = first.direction[:6], first.origin_mm
        normal = np.cross(direction[:3], direction[3:])
        places = np.array([one.origin_mm for one in geometries]) @ normal  # (D,) mm along the normal
        steps = np.diff(places)
        across_mm = float(np.median(np.abs(steps))) if len(steps) else None
        normal = normal if not len(steps) or np.median(steps) >= 0 else -normal
        direction = (*direction, *(float(one) for one in normal))
    if first.spacing_mm is None or not across_mm:
        return Geometry(None, origin, direction)
    return Geometry((across_mm, *first.spacing_mm[-2:]), origin, direction)


def of_slice(geometry: Geometry, frame: int) -> Geometry:
    """Return where one slice of a volume lies."""
    spacing = None if geometry.spacing_mm is None else geometry.spacing_mm[1:]
    if geometry.spacing_mm is None or geometry.origin_mm is None or geometry.direction is None:
        return Geometry(spacing, None, None if geometry.direction is None else geometry.direction[:6])
    cosines = np.array(geometry.direction)
    across = cosines[6:] if len(cosines) == 9 else np.cross(cosines[:3], cosines[3:])
    x, y, z = np.array(geometry.origin_mm) + frame * geometry.spacing_mm[0] * across
    return Geometry(spacing, (float(x), float(y), float(z)), geometry.direction[:6])


def lying(geometry: Geometry) -> str | None:
    """Return the sides of the patient that a volume's columns, rows and slices run to; None unless all are known.

    An axis that runs aslant counts for the side that it is nearest to.

    >>> lying(Geometry(direction=(1, 0, 0, 0, 1, 0, 0, 0, 1))), lying(Geometry(direction=(0, 1, 0, 0, 0, -1, 1, 0, 0)))
    ('LPS', 'PIL')
    """
    if geometry.direction is None or len(geometry.direction) != 9:
        return None
    axes = np.reshape(geometry.direction, (3, 3))
    nearest = np.abs(axes).argmax(axis=1)
    return "".join(("LPS" if one[side] > 0 else "RAI")[side] for one, side in zip(axes, nearest, strict=True))


def lying_order(geometries: Sequence[Geometry]) -> NDArray[np.int64] | None:
    """Return the order in which planes lie along their normal; None unless they are parallel and apart."""
    turns, places = {one.direction for one in geometries}, [one.origin_mm for one in geometries]
    if len(turns) > 1 or None in turns or None in places or len(set(places)) < len(places):
        return None
    cosines = np.array(geometries[0].direction)
    along: NDArray[np.float64] = np.array(places) @ np.cross(cosines[:3], cosines[3:6])
    return np.argsort(along, kind="stable")
