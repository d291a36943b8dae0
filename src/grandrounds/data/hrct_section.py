"""One simulated section: anatomy, patterns and regions of interest of a patient, seen through a scanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.data import hrct_parameters as p
from grandrounds.data.hrct_anatomy import Lung, Tree, draw_lung, grow, section
from grandrounds.data.hrct_fields import Grid, Plane, filtered, mtf, noise_amplitude, random_field, smooth_field
from grandrounds.data.hrct_patterns import PAINT, Section, Tissue, draw_tissue, normal

_LEAST_ROI_CM2 = 6.0  # smaller regions hold no 32 px patch
_REGION_MM = 26.0  # correlation length of the map of regions
_SUBPLEURAL = {"fibrosis": 1.0, "consolidation": 0.4}  # how much likelier at the pleura than 20 mm below it
Contour = NDArray[np.integer[Any]]  # (n, 2): x, y in pixels


@dataclass(frozen=True, slots=True)
class Scanner:
    """How images are made: the kernel's name and resolution, its noise at full dose, and the dose."""

    kernel: str
    half_per_mm: float
    boost: float
    noise_hu: float
    dose: float


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything about one simulated patient that all sections share.

    Args:
        seed: Root of the randomness of the sections.
        tissue: The parenchyma.
        lung: The outline.
        arteries: Tree with bronchi.
        veins: Tree without.
        bronchus: Lumen over artery diameter, and wall over outer diameter.
        scanner: Kernel and dose.
        grid: Pixel grid.
        diseases: Patterns that the lung has, besides normal tissue.
        labelled: Classes that get regions of interest.
    """

    seed: int
    tissue: Tissue
    lung: Lung
    arteries: Tree
    veins: Tree
    bronchus: tuple[float, float]
    scanner: Scanner
    grid: Grid
    diseases: tuple[str, ...]
    labelled: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """A finished section: attenuation, lung mask, and the contours of the regions of every class."""

    hu: Plane
    lung: NDArray[np.bool_]
    rois: Mapping[str, list[Contour]]


def draw_scanner(rng: np.random.Generator, *, sharp: bool, effect: float) -> Scanner:
    """Return a scanner with a sharp (lung) or a soft (body) kernel and the patient's dose."""
    dose = p.DOSE.draw(rng, effect)
    if sharp:
        return Scanner("SHARP", p.SHARP_MTF50_PER_MM.draw(rng), p.SHARP_BOOST.draw(rng), p.SHARP_NOISE_HU.low, dose)
    return Scanner("SOFT", p.SOFT_MTF50_PER_MM.draw(rng), 0.0, p.SOFT_NOISE_HU.low, dose)


def draw_patient(
    seed: int, size_px: int, diseases: tuple[str, ...], labelled: tuple[str, ...], *, sharp: bool, effect: float = 1.0
) -> Patient:
    """Return one patient, drawn from the ranges of `hrct_parameters`; `effect` (0 … 1) is how much patients differ."""
    rng = seeds.generator(seed, "patient")
    lung = draw_lung(rng)
    root_mm = p.ROOT_ARTERY_MM.draw(rng)
    return Patient(
        seed=seed,
        tissue=draw_tissue(rng, effect),
        lung=lung,
        arteries=grow(rng, lung, (0.60, 0.05, -0.05), root_mm),
        veins=grow(rng, lung, (0.62, -0.12, 0.10), 0.9 * root_mm),
        bronchus=(p.BRONCHUS_RATIO.draw(rng), p.BRONCHUS_WALL.draw(rng)),
        scanner=draw_scanner(rng, sharp=sharp, effect=effect),
        # The field of view is chosen for the patient's one lung, whatever the matrix.
        grid=Grid(size_px, p.PIXEL_MM.draw(rng) * 256 / size_px),
        diseases=diseases,
        labelled=labelled,
    )


def simulate(patient: Patient, z_mm: float, index: int) -> Slice:
    """Return the section at a height of z, 0 in the middle of the lung."""
    grid = patient.grid
    rng = seeds.generator(patient.seed, "section", index=index)
    lung = patient.lung.section(grid, z_mm)
    depth_mm = _depth(lung, grid)
    regions = _regions(patient, index, lung, depth_mm)
    hu = normal(rng, patient.tissue, Section(grid, lung, depth_mm))
    for name in patient.diseases:
        where = cv2.dilate(regions[name].astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
        painted = PAINT[name](rng, patient.tissue, Section(grid, where, depth_mm), hu)
        weight = cv2.GaussianBlur(regions[name].astype(np.float32), (0, 0), 2.5)
        hu += weight * (painted - hu)
    tubes = section(patient.arteries, patient.veins, grid, z_mm, *patient.bronchus)
    tissue = tubes.tissue * np.where(hu < p.EMPHYSEMA_HU.high, 0.4, 1.0)  # vessels are rare in destroyed lung
    hu = hu + tissue * (p.VESSEL_HU.low - hu)
    hu = hu + tubes.lumen * (p.AIR_HU.low - hu)
    hu = np.where(lung, hu, _body(rng, grid, lung))
    rois = {name: _contours(regions[name], grid) for name in patient.labelled}
    return Slice(scan(rng, patient.scanner, grid, hu), lung, rois)


def scan(rng: np.random.Generator, scanner: Scanner, grid: Grid, hu: Plane) -> Plane:
    """Return the image that a scanner makes of an attenuation map: blurred, noisy, cut to 12 bits."""
    frequency = grid.frequency_per_mm
    transfer = mtf(frequency, scanner.half_per_mm, scanner.boost)
    noise = scanner.noise_hu / np.sqrt(scanner.dose) * random_field(rng, grid, noise_amplitude(frequency, transfer))
    image: Plane = np.clip(np.round(filtered(hu.astype(np.float32), transfer) + noise), -1024, 3071).astype(np.float32)
    return image


def _depth(lung: NDArray[np.bool_], grid: Grid) -> Plane:
    depth: Plane = cv2.distanceTransform(lung.astype(np.uint8), cv2.DIST_L2, 5) * grid.pixel_mm
    return depth


def _regions(patient: Patient, index: int, lung: NDArray[np.bool_], depth_mm: Plane) -> Mapping[str, NDArray[np.bool_]]:
    # Each tissue has a smooth random field, mostly the patient's own and partly the section's; the greatest one wins.
    names = ("normal", *patient.diseases)
    heights = []
    for name in names:
        own = smooth_field(seeds.generator(patient.seed, "regions", name=name), patient.grid, _REGION_MM)
        here = smooth_field(seeds.generator(patient.seed, "regions", name=name, index=index), patient.grid, _REGION_MM)
        subpleural = _SUBPLEURAL[name] - depth_mm / 20 if name in _SUBPLEURAL else 0.0
        heights.append(0.8 * own + 0.6 * here + subpleural)
    winner = np.argmax(heights, axis=0)
    return {name: lung & (winner == i) for i, name in enumerate(names)}


def _contours(region: NDArray[np.bool_], grid: Grid) -> list[Contour]:
    # A reader draws generously inside a region: not to its very edge, and no narrow necks.
    inner = cv2.morphologyEx(
        cv2.erode(region.astype(np.uint8), np.ones((5, 5), np.uint8)),
        cv2.MORPH_OPEN,
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)),
    )
    found, _ = cv2.findContours(inner, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contours = [cv2.approxPolyDP(one, 1.0, closed=True)[:, 0].astype(np.int32) for one in found]
    kept: list[Contour] = []
    for contour in contours:
        mask = cv2.fillPoly(np.zeros(grid.shape, np.uint8), [contour], 1).astype(bool)
        is_large = mask.sum() * grid.pixel_mm**2 / 100 >= _LEAST_ROI_CM2
        if is_large and region[mask].mean() > 0.95:  # a region with another one inside is left unlabelled
            kept.append(contour)
    return kept


def _body(rng: np.random.Generator, grid: Grid, lung: NDArray[np.bool_]) -> Plane:
    # Chest wall in layers by distance from the pleura, and the mediastinum; only there so that a slice looks like one.
    outside_mm = cv2.distanceTransform((~lung).astype(np.uint8), cv2.DIST_L2, 5) * grid.pixel_mm
    x, y = grid.axis_mm[None, :], grid.axis_mm[:, None]
    wavy_mm = outside_mm + 3 * smooth_field(rng, grid, 12.0)
    muscle = 50 + 15 * smooth_field(rng, grid, 4.0)
    wall = np.where(outside_mm < 2.0, -20.0, muscle)
    around_mm = np.arctan2(y, x) * 62  # position along the wall
    in_rib = (np.mod(around_mm + rng.uniform(0, 60), 52) < 24) & (np.abs(outside_mm - 7.5) < 4.5)
    marrow = in_rib & (np.abs(outside_mm - 7.5) < 2.6)
    wall = np.where(in_rib, 500.0, wall)
    wall = np.where(marrow, 180.0, wall)
    wall = np.where(wavy_mm > 21, -100.0, wall)
    wall = np.where(wavy_mm > 38, p.AIR_HU.low, wall)
    fat = smooth_field(rng, grid, 7.0) > 1.2
    mediastinum = np.where(fat & (outside_mm > 3), -90.0, 45.0)
    is_medial = (x > 30) & (np.abs(y) < 52)
    return np.where(is_medial, mediastinum, wall).astype(np.float32)
