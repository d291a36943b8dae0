"""Simulated sections of a whole chest, with the true lungs: what lung masks are learned from and judged on.

A chest is two simulated lungs (`hrct_section`), the left one a mirror image, side by side with the mediastinum between
them. Half of the patients have airless lung that reaches the chest wall, which no threshold tells from it. Windpipe and
bowel gas are there only so that a mask learns to leave them out. The patients are drawn for purposes of their own, so
that none of them is in the labelled set, whatever the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grandrounds import seeds
from grandrounds.data import hrct_parameters as p
from grandrounds.data.hrct_fields import Grid, Plane
from grandrounds.data.hrct_section import Patient, draw_patient, simulate
from grandrounds.specs import Spec

_PIXEL_MM, _LUNG_PX = 1.5, 144  # of each lung's half of the chest: 216 mm, wall and air included
_REACH_MM = 50.0  # sections lie within this distance of the middle of the lung
_MEDIAL_MM = (62.0, 85.0)  # where a lung's half ends, from its middle: the mediastinum is twice what lies beyond it
_ABDOMEN = 0.12  # of the sections show no lung
_TISSUE_HU, _TISSUE_SD_HU = 45.0, 12.0
_OTHERS = ("emphysema", "ground_glass", "fibrosis", "micronodules")
_Mask = NDArray[np.bool_]


class ChestSpec(Spec):
    """Which chests to simulate.

    Args:
        n_patients: Number of patients.
        n_sections: Sections of each.
        seed: Root of all randomness.
        dense: Whether every patient has airless lung; otherwise every other one has.
    """

    n_patients: int = Field(default=24, ge=2, le=999)
    n_sections: int = Field(default=6, ge=1, le=40)
    seed: int = 0
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Chest:
    """One section: whose it is, its attenuation and its lungs, both (H, W), and the distance of its pixels."""

    patient: str
    hu: Plane
    lungs: _Mask
    pixel_mm: float


def chests(spec: ChestSpec) -> Iterator[Chest]:
    """Yield the sections of every patient in turn, the same for the same spec."""
    for i in range(spec.n_patients):
        patient = f"SIM-CHEST-{spec.seed}-{i + 1:03d}"
        dense = spec.dense or i % 2 == 0
        rng = seeds.generator(spec.seed, "chest", patient=i)
        right, left = _two_lungs(spec.seed, i, rng, dense=dense)
        for k in range(spec.n_sections):
            z_mm = float(rng.uniform(-_REACH_MM, _REACH_MM))
            hu, lungs = _section(right, left, z_mm, k, rng)
            if not spec.dense and rng.random() < _ABDOMEN:
                hu, lungs = _abdomen(hu, lungs, rng), np.zeros_like(lungs)
            yield Chest(patient, np.clip(hu, -1024, 3071), lungs, _PIXEL_MM)


def _two_lungs(seed: int, index: int, rng: np.random.Generator, *, dense: bool) -> tuple[Patient, Patient]:
    """Return both lungs as patients of one tissue and one scanner."""
    diseases = [(str(rng.choice(_OTHERS)),) for _ in range(2)]
    if dense:
        affected = (0, 1) if rng.random() < 0.5 else (int(rng.integers(2)),)
        diseases = [("consolidation",) if side in affected else diseases[side] for side in range(2)]
    sharp = bool(rng.random() < 0.5)
    right, left = (
        draw_patient(seeds.derive(seed, "chest lung", patient=index, side=side), _LUNG_PX, own, (), sharp=sharp)
        for side, own in enumerate(diseases)
    )
    grid = Grid(_LUNG_PX, _PIXEL_MM)
    return replace(right, grid=grid), replace(left, grid=grid, tissue=right.tissue, scanner=right.scanner)


def _section(right: Patient, left: Patient, z_mm: float, index: int, rng: np.random.Generator) -> tuple[Plane, _Mask]:
    """Return attenuation and lungs of both halves, (H, W), with a windpipe in front of the spine."""
    n_medial = round(float(rng.uniform(*_MEDIAL_MM)) / _PIXEL_MM) + _LUNG_PX // 2
    halves = [simulate(lung, z_mm, index) for lung in (right, left)]
    hu = np.hstack([halves[0].hu[:, :n_medial], halves[1].hu[:, n_medial - 1 :: -1]])
    lungs = np.hstack([halves[0].lung[:, :n_medial], halves[1].lung[:, n_medial - 1 :: -1]])
    centre = (n_medial, hu.shape[0] // 2 - round(float(rng.uniform(0, 20)) / _PIXEL_MM))
    windpipe = cv2.circle(np.zeros(hu.shape, np.uint8), centre, round(float(rng.uniform(7, 10)) / _PIXEL_MM), 1, -1)
    hu = np.where(windpipe.astype(bool) & ~lungs, p.AIR_HU.low, hu)
    return hu, lungs


def _abdomen(hu: Plane, lungs: _Mask, rng: np.random.Generator) -> Plane:
    """Return the section with soft tissue and bowel gas where the lungs were."""
    tissue = _TISSUE_HU + rng.normal(0, _TISSUE_SD_HU, hu.shape)
    gas = np.zeros(hu.shape, np.uint8)
    rows, columns = np.nonzero(lungs)
    for at in rng.integers(0, max(1, len(rows)), int(rng.integers(1, 5))):
        axes = tuple(int(side) for side in rng.integers(5, 24, 2))
        cv2.ellipse(gas, (int(columns[at]), int(rows[at])), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    filled: Plane = np.where(lungs | (gas > 0), np.where(gas > 0, p.AIR_HU.low, tissue), hu)
    return filled
