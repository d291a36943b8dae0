"""The normal right lung of one simulated patient: its outline, and trees of arteries, veins and bronchi.

Coordinates are millimetres from the middle of the lung: x towards the patient's left (the mediastinum), y towards the
back, z towards the feet. A tree joins points that are spread over the lung by short wire and short ways from the hilum
at once (Cuntz et al., PLoS Comput Biol 2010; 6:e1000877); diameters taper as Huang et al. measured (J Appl Physiol
1996; 81:2123-2133). Only the middle of the lung is grown, where the sections lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from grandrounds.data import hrct_parameters as p
from grandrounds.data.hrct_fields import Grid, Plane

Points = NDArray[np.float64]  # (n, 3): x, y, z in mm
_SUPERSAMPLING = 4  # tubes are drawn on a finer canvas and averaged: partial volume within the plane
_SHIFT = 3  # OpenCV takes coordinates in eighths of a pixel


@dataclass(frozen=True, slots=True)
class Tree:
    """Straight branches: where each starts and ends (mm), its radius (mm) and the side on which its bronchus runs."""

    start: Points
    end: Points
    radius_mm: NDArray[np.float64]
    side: NDArray[np.float64]


@dataclass(frozen=True)
class Lung:
    """A lung as an implicit shape.

    Args:
        half_mm: Half axes in x, y and z.
        harmonics: Amplitude and phase of the outline's second to fifth harmonic.
        heart: Centre and half axes of the heart's impression, relative to `half_mm`.
    """

    half_mm: tuple[float, float, float]
    harmonics: tuple[tuple[float, float], ...]
    heart: tuple[tuple[float, float, float], tuple[float, float, float]]

    def contains(self, x: NDArray[np.floating], y: NDArray[np.floating], z: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether points lie inside."""
        half_x, half_y, half_z = self.half_mm
        u, v, w = x / half_x, y / half_y, z / half_z
        angle = np.arctan2(v, u)
        outline = 1 + sum(a * np.cos(k * angle + b) for k, (a, b) in enumerate(self.harmonics, start=2))
        body = np.abs(u) ** 2.3 + np.abs(v) ** 2.3 + np.abs(w) ** 4 < outline
        inside: NDArray[np.bool_] = body & ~_in_ellipsoid(u, v, w, *self.heart) & ~_in_ellipsoid(u, v, w, *_SPINE)
        return inside

    def section(self, grid: Grid, z_mm: float) -> NDArray[np.bool_]:
        """Return the mask of one section, (H, W)."""
        axis = grid.axis_mm.astype(np.float64)
        y, x = np.meshgrid(axis, axis, indexing="ij")
        return self.contains(x, y, np.full_like(x, z_mm))

    def sample(self, rng: np.random.Generator, n: int) -> Points:
        """Return points spread evenly over the lung."""
        kept = np.empty((0, 3))
        while len(kept) < n:
            points = rng.uniform(-1, 1, (2 * n, 3)) * np.array(self.half_mm)
            kept = np.concatenate([kept, points[self.contains(*points.T)]])
        return kept[:n]


_SPINE = ((1.12, 0.62, 0.0), (0.42, 0.42, 9.0))


def _in_ellipsoid(
    u: NDArray[np.floating],
    v: NDArray[np.floating],
    w: NDArray[np.floating],
    centre: tuple[float, float, float],
    half: tuple[float, float, float],
) -> NDArray[np.bool_]:
    terms = [((a - c) / h) ** 2 for a, c, h in zip((u, v, w), centre, half, strict=True)]
    inside: NDArray[np.bool_] = terms[0] + terms[1] + terms[2] < 1
    return inside


def draw_lung(rng: np.random.Generator) -> Lung:
    """Return a lung of ordinary adult size: textbook proportions of the middle of a right lung at inspiration."""
    half = (float(rng.uniform(50, 58)), float(rng.uniform(68, 76)), float(rng.uniform(55, 62)))
    harmonics = tuple((float(rng.normal(0, 0.08 / k)), float(rng.uniform(0, 2 * np.pi))) for k in range(2, 6))
    heart = (
        (float(rng.uniform(1.02, 1.15)), float(rng.uniform(-0.35, -0.15)), 0.25),
        (float(rng.uniform(0.5, 0.65)), float(rng.uniform(0.5, 0.65)), 0.9),
    )
    return Lung(half, harmonics, heart)


def grow(rng: np.random.Generator, lung: Lung, root: tuple[float, float, float], root_mm: float) -> Tree:
    """Return a tree that reaches all of the lung from a root at the hilum.

    Args:
        rng: Source of randomness.
        lung: The lung to fill.
        root: Where the tree enters, relative to the lung's half axes.
        root_mm: Diameter of the first branch.
    """
    hilum = np.array(root) * np.array(lung.half_mm)
    points = np.concatenate([hilum[None], lung.sample(rng, int(p.N_BRANCHES.low))])
    parent, order = _span(points)
    n_ends = np.zeros(len(points))
    has_daughter = np.zeros(len(points), bool)
    has_daughter[parent[order[1:]]] = True
    for node in order[:0:-1]:  # from the periphery inwards
        n_ends[node] += not has_daughter[node]
        n_ends[parent[node]] += n_ends[node]
    branches = order[1:]
    diameter_mm = root_mm * (n_ends[branches] / n_ends[0]) ** (1 / p.TAPER.low)
    side = np.where(rng.random(len(branches)) < 0.5, -1.0, 1.0)
    return Tree(points[parent[branches]], points[branches], diameter_mm / 2, side)


def _span(points: Points) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Each point in turn joins the tree where wire plus a share of the way to the root is shortest. Returns every
    # point's parent, and the points in the order of joining. The arrays hold the open points alone and shrink.
    n = len(points)
    parent, order, path_mm = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n)
    ids, via = np.arange(1, n), np.zeros(n - 1, np.int64)
    x, y, z = (np.ascontiguousarray(axis, np.float32) for axis in points[1:].T)
    cost_mm = np.full(n - 1, np.inf, np.float32)
    node = 0
    for step in range(1, n):
        here = slice(n - step)  # the open points
        px, py, pz = points[node]
        wire_mm = np.sqrt((x[here] - px) ** 2 + (y[here] - py) ** 2 + (z[here] - pz) ** 2)
        through_mm = wire_mm + p.BALANCE.low * path_mm[node]
        nearer = through_mm < cost_mm[here]
        np.copyto(cost_mm[here], through_mm, where=nearer)
        np.copyto(via[here], node, where=nearer)
        k = int(cost_mm[here].argmin())
        node = int(ids[k])
        parent[node], order[step] = via[k], node
        path_mm[node] = path_mm[via[k]] + float(np.linalg.norm(points[node] - points[via[k]]))
        for one in (ids, via, x, y, z, cost_mm):
            one[k] = one[n - step - 1]  # the last open point takes its place
    return parent, order


@dataclass(frozen=True, slots=True)
class Tubes:
    """What the trees put into one section: fractions of soft tissue and of bronchial air in every pixel, (H, W)."""

    tissue: Plane
    lumen: Plane


def section(arteries: Tree, veins: Tree, grid: Grid, z_mm: float, ratio: float, wall: float) -> Tubes:
    """Return arteries with their bronchi, and veins, as they cross one section.

    Args:
        arteries: Tree along which the bronchi run.
        veins: Tree without bronchi.
        grid: Pixel grid.
        z_mm: Middle of the section.
        ratio: Inner diameter of a bronchus over its artery's diameter.
        wall: Wall thickness over the bronchus' outer diameter.
    """
    shape = tuple(_SUPERSAMPLING * n for n in grid.shape)
    tissue, lumen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    finest = grid.pixel_mm / _SUPERSAMPLING
    for tree, has_bronchi in ((veins, False), (arteries, True)):
        start, end, radius, side, opacity = _clip(tree, z_mm)
        for i in np.argsort(radius):  # thick over thin
            _draw(tissue, start[i], end[i], radius[i], float(opacity[i]), finest)
            if has_bronchi and 2 * radius[i] * ratio >= p.LEAST_BRONCHUS_MM.low:
                inner = radius[i] * ratio
                outer = inner / (1 - 2 * wall)
                aside = _perpendicular(start[i], end[i]) * side[i] * (radius[i] + outer)
                for canvas, r, value in ((tissue, outer, 1.0), (tissue, inner, 0.0), (lumen, inner, 1.0)):
                    _draw(canvas, start[i] + aside, end[i] + aside, r, value, finest)
    small = (grid.size_px, grid.size_px)
    averaged = [cv2.resize(one, small, interpolation=cv2.INTER_AREA).astype(np.float32) for one in (tissue, lumen)]
    return Tubes(*averaged)


def _clip(
    tree: Tree, z_mm: float
) -> tuple[Points, Points, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    # The part of every branch inside the section. A thin tube lying in the section fills it only partly.
    half = p.SECTION_MM.low / 2
    along = tree.end - tree.start
    dz = np.where(np.abs(along[:, 2]) < 1e-6, 1e-6, along[:, 2])
    enter, leave = np.sort(
        np.stack([(z_mm - half - tree.start[:, 2]) / dz, (z_mm + half - tree.start[:, 2]) / dz]), axis=0
    )
    enter, leave = np.clip(enter, 0, 1), np.clip(leave, 0, 1)
    hit = leave > enter
    start = (tree.start + enter[:, None] * along)[hit]
    end = (tree.start + leave[:, None] * along)[hit]
    radius = tree.radius_mm[hit]
    in_plane = np.linalg.norm(along[hit, :2], axis=1) / np.maximum(np.linalg.norm(along[hit], axis=1), 1e-9)
    opacity = np.clip(2 * radius / np.maximum(p.SECTION_MM.low * in_plane, 1e-6), 0, 1)
    return start, end, radius, tree.side[hit], opacity


def _perpendicular(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    # A unit vector in the plane of the image, at a right angle to the branch.
    across = np.array([-(end - start)[1], (end - start)[0], 0.0])
    length = float(np.linalg.norm(across))
    return across / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])


def _draw(
    canvas: Plane,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius_mm: float,
    value: float,
    finest_mm: float,
) -> None:
    centre = (canvas.shape[0] - 1) / 2
    scale = 2**_SHIFT
    ends = [tuple(round((c / finest_mm + centre) * scale) for c in one[:2]) for one in (start, end)]
    thickness = max(1, round(2 * radius_mm / finest_mm))
    cv2.line(canvas, ends[0], ends[1], value, thickness, cv2.LINE_8, _SHIFT)
