"""How well one picture lies over another, once it is shifted, turned a little and stretched to fit.

The affine map is the one of greatest correlation (Evangelidis and Psarakis 2008, "Parametric image alignment using
enhanced correlation coefficient maximization", IEEE TPAMI 30). Medical images of two people look alike coarsely, never
in their details, so details are compared as well. What either picture shows as plain black or white is left out:
another window clips other pixels, and says nothing of who is shown.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from grandrounds.data.glance import EDGE_PX, Grey
from grandrounds.shapes import Pixels

_COARSE_PX, _LEAST_COARSE = 32, 0.80
_NOISE_PX, _DETAIL_PX = 1.4, 4.2  # finer structure may be noise; coarser is not called a detail
_LEAST_CONTENT = 0.02  # standard deviation of the details, of the grey range
_LEAST_OVERLAP, _LEAST_UNCLIPPED = 0.6, 0.2  # of the picture
_MOST_SCALE, _MOST_TURN_DEG = 1.25, 12.0
_NEARLY_1 = 0.9999  # a correlation beyond is no surer
_BLACK, _WHITE = 1.5 / 255, 253.5 / 255

Plane = NDArray[np.float32]


class Match(NamedTuple):
    """How well one picture lies over another, where they overlap and neither is clipped.

    Args:
        correlation: Of the grey values, noise smoothed away.
        detail: The same without what is coarser than a few pixels.
    """

    correlation: float
    detail: float

    @property
    def score(self) -> float:
        """Sum of both correlations after Fisher's transformation: 0 for nothing in common, 9.9 for copies."""
        return float(np.arctanh(np.clip(self, -_NEARLY_1, _NEARLY_1)).sum())


NO_MATCH = Match(0.0, 0.0)


class Overlay(NamedTuple):
    """Two pictures, the second laid over the first.

    Args:
        one: (64, 64), from 0 to 1.
        other: The same.
        overlap: Where both show something.
    """

    one: Plane
    other: Plane
    overlap: NDArray[np.bool_]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where to compare them: what neither clips, or all of the overlap where that leaves hardly anything."""
        unclipped = self.overlap & ~(_clipped(self.one) | _clipped(self.other))
        return unclipped if unclipped.mean() >= _LEAST_UNCLIPPED else self.overlap


def has_content(grey: Grey) -> NDArray[np.bool_]:
    """Return, for each picture, whether it has details to compare."""
    return np.array([_detail(_smooth(_plane(one))).std() >= _LEAST_CONTENT for one in grey], dtype=bool)


def match(one: Grey, other: Grey) -> Match:
    """Return how well two pictures (64, 64) correlate once the second is laid over the first."""
    laid = laid_over(one, other)
    if laid is None:
        return NO_MATCH
    a, b, seen = _smooth(laid.one), _smooth(laid.other), laid.seen
    return Match(*(correlation(x[seen], y[seen]) for x, y in ((a, b), (_detail(a), _detail(b)))))


def laid_over(one: Grey, other: Grey) -> Overlay | None:
    """Return two pictures (64, 64), the second laid over the first; None where no sensible map does so."""
    a, b = _plane(one), _plane(other)
    warp, reached = _registered(_small(a), _small(b))
    if warp is None or reached < _LEAST_COARSE:
        return None
    warp[:, 2] *= EDGE_PX / _COARSE_PX
    warp, _ = _registered(a, b, warp)
    return None if warp is None else _laid_over(a, b, warp)


def correlation(a: Plane, b: Plane) -> float:
    """Return Pearson's correlation; 0 where one side is constant."""
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 0 else 0.0


def _plane(grey: Grey) -> Plane:
    return np.divide(grey, 255, dtype=np.float32)


def _small(plane: Plane) -> Plane:
    return np.asarray(cv2.resize(plane, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA), np.float32)


def _smooth(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _NOISE_PX), np.float32)


def _detail(smooth: Plane) -> Plane:
    return smooth - np.asarray(cv2.GaussianBlur(smooth, (0, 0), _DETAIL_PX), np.float32)


def _registered(a: Plane, b: Plane, warp: Pixels | None = None) -> tuple[NDArray[np.float32] | None, float]:
    """Return the affine map that lays `b` over `a` and the correlation reached; None where there is no sensible one."""
    start = np.eye(2, 3, dtype=np.float32) if warp is None else warp.astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20 if warp is None else 12, 1e-4)
    try:
        correlation, found = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, stop, _everywhere(a), 5)
    except cv2.error:  # it did not converge
        return None, 0.0
    scales = np.linalg.svd(found[:, :2], compute_uv=False)
    turn_deg = np.degrees(np.arctan2(found[1, 0] - found[0, 1], found[0, 0] + found[1, 1]))
    sensible = scales[1] >= 1 / _MOST_SCALE and scales[0] <= _MOST_SCALE and abs(turn_deg) <= _MOST_TURN_DEG
    return (np.asarray(found, np.float32), float(correlation)) if sensible else (None, 0.0)


def _everywhere(plane: Plane) -> Grey:
    return np.ones(plane.shape, np.uint8)


def _laid_over(a: Plane, b: Plane, warp: NDArray[np.float32]) -> Overlay | None:
    size, inverse = (a.shape[1], a.shape[0]), cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(b, warp, size, flags=cv2.INTER_LINEAR | inverse), np.float32)
    inside = cv2.warpAffine(np.ones_like(b), warp, size, flags=cv2.INTER_NEAREST | inverse)
    overlap = cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1.0) > 0
    return Overlay(a, moved, overlap) if overlap.mean() >= _LEAST_OVERLAP else None


def _clipped(plane: Plane) -> NDArray[np.bool_]:
    """Return which pixels are black or white, and those beside them; single ones are no sign of a window."""
    ends = ((plane < _BLACK) | (plane > _WHITE)).astype(np.uint8)
    regions = cv2.morphologyEx(ends, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return np.asarray(cv2.dilate(regions, np.ones((3, 3), np.uint8)), dtype=bool)
