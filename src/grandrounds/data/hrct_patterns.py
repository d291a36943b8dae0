"""The five tissue patterns, as attenuation of the parenchyma in Hounsfield units.

A `Tissue` holds what belongs to one patient, drawn once; a painter applies one pattern to one section. Vessels and
bronchi are laid over the parenchyma afterwards, so that they stay visible in ground glass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from grandrounds.data import hrct_parameters as p
from grandrounds.data.hrct_fields import Grid, Plane, cell_walls, power_law_field, smooth_field, soft_step

# Name of the class in tables to its code in masks and its word in ROI files (the Geneva database's).
CODES: Mapping[str, int] = MappingProxyType(
    {"normal": 1, "emphysema": 2, "ground_glass": 3, "fibrosis": 4, "micronodules": 5}
)
_EDGE_MM = 0.8  # soft edges of lucencies and lines, near one pixel


@dataclass(frozen=True, slots=True)
class Tissue:
    """What a patient's parenchyma is like, whatever the section.

    Args:
        mean_hu: Mean between the vessels.
        gradient_hu_per_cm: Rise towards the back.
        texture_sd_hu: Standard deviation of the texture.
        texture_slope: Slope of its power spectrum.
        lobule_mm: Size of lobules.
        septum_hu: Contrast of normal septa.
        severity: Share (0 … 1) of the way through every pattern's range.
    """

    mean_hu: float
    gradient_hu_per_cm: float
    texture_sd_hu: float
    texture_slope: float
    lobule_mm: float
    septum_hu: float
    severity: float


def draw_tissue(rng: np.random.Generator, effect: float) -> Tissue:
    """Return one patient's tissue; `effect` (0 … 1) is how much patients differ."""
    return Tissue(
        mean_hu=p.LUNG_HU.draw(rng, effect),
        gradient_hu_per_cm=p.GRADIENT_HU_PER_CM.draw(rng, effect),
        texture_sd_hu=p.TEXTURE_SD_HU.draw(rng, effect),
        texture_slope=p.TEXTURE_SLOPE.draw(rng, effect),
        lobule_mm=p.LOBULE_MM.draw(rng, effect),
        septum_hu=p.SEPTUM_HU.draw(rng, effect),
        severity=0.5 + 0.8 * effect * (float(rng.random()) - 0.5),
    )


@dataclass(frozen=True, slots=True)
class Section:
    """What a pattern may look at: the grid, where it shall be, and how deep below the pleura (mm) each pixel lies."""

    grid: Grid
    where: NDArray[np.bool_]
    depth_mm: Plane


def normal(rng: np.random.Generator, tissue: Tissue, section: Section) -> Plane:
    """Return healthy parenchyma: a mean, a gradient towards the back, a texture and faint lobular septa."""
    grid = section.grid
    back_cm = grid.axis_mm[:, None] / 10
    texture = power_law_field(rng, grid, tissue.texture_slope)
    septa = soft_step(0.3 - cell_walls(rng, grid, section.where, tissue.lobule_mm), _EDGE_MM)
    return (
        tissue.mean_hu
        + tissue.gradient_hu_per_cm * back_cm
        + tissue.texture_sd_hu * texture
        + tissue.septum_hu * septa * soft_step(smooth_field(rng, grid, 8.0), 1.0)
    ).astype(np.float32)


def emphysema(rng: np.random.Generator, tissue: Tissue, section: Section, base: Plane) -> Plane:
    """Return lung with lucencies that have no walls: where a smooth random field exceeds a threshold."""
    scale_mm = p.EMPHYSEMA_SCALE_MM.at(_near(rng, tissue.severity))
    fraction = p.EMPHYSEMA_FRACTION.at(_near(rng, tissue.severity))
    field = smooth_field(rng, section.grid, scale_mm)
    # A Gaussian field exceeds -ndtri(fraction) on that share of the area; its slope turns sd into millimetres.
    lucency = soft_step((field + ndtri(fraction)) * scale_mm, 2 * _EDGE_MM)
    hu: Plane = base + lucency * (p.EMPHYSEMA_HU.draw(rng) - base)
    return hu


def ground_glass(rng: np.random.Generator, tissue: Tissue, section: Section, base: Plane) -> Plane:
    """Return hazy lung: a raised mean that varies softly, on which the texture goes on."""
    scale_mm = p.GROUND_GLASS_SCALE_MM.draw(rng)
    haze = p.GROUND_GLASS_HU.at(_near(rng, tissue.severity)) + p.GROUND_GLASS_SD_HU.draw(rng) * smooth_field(
        rng, section.grid, scale_mm
    )
    hu: Plane = haze + (base - base[section.where].mean()) * 0.8
    return hu


def fibrosis(rng: np.random.Generator, tissue: Tissue, section: Section, base: Plane) -> Plane:
    """Return a net of lines, and honeycomb cysts in walls below the pleura."""
    grid, where = section.grid, section.where
    share = _near(rng, tissue.severity)
    matrix = p.FIBROSIS_MATRIX_HU.at(share) + 1.5 * (base - base[where].mean())
    line_mm = p.RETICULAR_LINE_MM.at(share)
    lines = np.zeros(grid.shape, np.float32)
    for mesh in (1.0, 0.55):  # a coarse net, and a finer one in places
        walls = cell_walls(rng, grid, where, mesh * p.RETICULAR_MESH_MM.at(1 - share))
        broken = soft_step(smooth_field(rng, grid, 4.0) + 0.4, 1.5)
        lines = np.maximum(lines, soft_step(line_mm / 2 - walls, _EDGE_MM) * broken)
    net = matrix + lines * (p.RETICULAR_HU.at(share) - matrix)
    wall_mm = p.CYST_WALL_MM.at(share)
    cells = cell_walls(rng, grid, where, p.CYST_MM.at(_near(rng, 0.5)) + wall_mm)
    rounded = cv2.GaussianBlur(np.minimum(cells, 10.0), (0, 0), 1.2)  # cysts are round: their corners fill with wall
    thick_mm = wall_mm * (1 + 0.35 * smooth_field(rng, grid, 4.0))
    wall = soft_step(thick_mm / 2 + 0.25 - rounded, _EDGE_MM)
    comb = p.CYST_HU.draw(rng) + wall * (p.CYST_WALL_HU.draw(rng) - p.CYST_HU.at(0.5))
    reach_mm = p.HONEYCOMB_DEPTH_MM.at(share) * (1 + 0.6 * smooth_field(rng, grid, 12.0))
    honeycomb = soft_step(reach_mm - section.depth_mm, 3.0)
    hu: Plane = net + honeycomb * (comb - net)
    return hu


def micronodules(rng: np.random.Generator, tissue: Tissue, section: Section, base: Plane) -> Plane:
    """Return lung with small round opacities at random places."""
    grid = section.grid
    rows, columns = np.nonzero(section.where)
    area_cm2 = len(rows) * grid.pixel_mm**2 / 100
    n = rng.poisson(p.NODULES_PER_CM2.at(_near(rng, tissue.severity)) * area_cm2)
    fine = 8  # eighths of a pixel
    canvas = np.zeros((4 * grid.size_px, 4 * grid.size_px), np.float32)
    for i in rng.integers(0, max(len(rows), 1), n):
        # A section cuts a ball at a random height: the disc is smaller than the ball, or the ball is missed.
        radius_mm = p.NODULE_MM.draw(rng) / 2 * float(np.sqrt(rng.uniform(0.3, 1)))
        centre = (round((4 * columns[i] + 1.5) * fine), round((4 * rows[i] + 1.5) * fine))
        cv2.circle(canvas, centre, round(4 * radius_mm / grid.pixel_mm * fine), 1.0, -1, cv2.LINE_8, 3)
    nodules = cv2.resize(canvas, grid.shape, interpolation=cv2.INTER_AREA)
    return base + nodules * (p.NODULE_HU.at(_near(rng, tissue.severity)) - base)


def consolidation(rng: np.random.Generator, tissue: Tissue, section: Section, base: Plane) -> Plane:
    """Return airless lung, as dense as soft tissue; no class of the set, but what lung masks have to find."""
    del tissue  # how dense airless lung is does not depend on what it was before
    patchy = smooth_field(rng, section.grid, p.GROUND_GLASS_SCALE_MM.draw(rng))
    hu: Plane = p.CONSOLIDATION_HU.draw(rng) + p.CONSOLIDATION_SD_HU.draw(rng) * patchy + 0 * base
    return hu


PAINT: Mapping[str, Callable[[np.random.Generator, Tissue, Section, Plane], Plane]] = MappingProxyType(
    {
        "emphysema": emphysema,
        "ground_glass": ground_glass,
        "fibrosis": fibrosis,
        "micronodules": micronodules,
        "consolidation": consolidation,
    }
)


def _near(rng: np.random.Generator, share: float) -> float:
    # Sections of one patient differ a little; patients differ more.
    return float(np.clip(share + rng.normal(0, 0.08), 0, 1))
