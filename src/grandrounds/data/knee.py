"""Simulated knees: what an exam holds, and the slices of each of its series.

A knee is drawn as two bones and the gap between them, in a texture of its own, with noise: enough for a network to look
at, and nothing that could be taken for a patient. Three signs are planted, none of them a finding of medicine: a bright
patch in the lower bone of the sagittal series, one in the coronal and one in the axial series. Each is there in half of
the exams, whatever the others are. Exams differ little otherwise: what two series show together is to be learnable from
a hundred exams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grandrounds import seeds
from grandrounds.data.knee_spec import KneeSpec

PLANES = ("sagittal", "coronal", "axial")
TASKS = ("one-series", "two-series", "columns")
_PATIENTS_WITH_TWO = 10  # one in so many
_BONE, _GAP, _TISSUE = 0.5, 0.15, 0.3  # grey values from 0 to 1
_SIGN, _TEXTURE, _NOISE = 0.4, 0.015, 0.02
_SHIFT, _GAIN = 0.025, 0.03  # in half images, and as a part of the grey values
_GREY = 255


class Exam(NamedTuple):
    """One exam, before anything is drawn.

    Args:
        number: From 0.
        patient: Name of nobody.
        signs: Planes whose series shows its sign.
        series: Planes that were imaged.
        age_years: Drawn without a look at anything else.
        sex: Likewise.
        onset: How the complaint began; with `locking` it decides the task `columns`.
        locking: Whether the joint locks.
        doubt: From 0 to 1, drawn; where it is small, the task `columns` is not what the columns say.
    """

    number: int
    patient: str
    signs: frozenset[str]
    series: tuple[str, ...]
    age_years: int
    sex: str
    onset: str
    locking: str
    doubt: float

    def answer(self, task: str) -> bool:
        """Return whether the exam is positive: one sign, either of two but not both, or what the columns say."""
        if task == "one-series":
            return "sagittal" in self.signs
        if task == "two-series":
            return ("coronal" in self.signs) != ("axial" in self.signs)
        return (self.onset == "sudden" or self.locking == "yes") != (self.doubt < 0.1)


def draw(spec: KneeSpec) -> list[Exam]:
    """Return the exams of a set: signs are balanced, and independent of each other, of the columns and of gaps."""
    rng = seeds.generator(spec.seed, "knees")
    balanced = np.arange(spec.n_exams)
    signs = {plane: rng.permutation(balanced) % 2 == 1 for plane in PLANES[:2]}
    # The third sign is dealt out within the exams that have, and that lack, the second: else an unequal draw of pairs
    # would let a single series tell something of the pair.
    axial = np.zeros(spec.n_exams, dtype=np.bool_)
    for side in (False, True):
        rows = rng.permutation(np.flatnonzero(signs["coronal"] == side))
        axial[rows[: len(rows) // 2]] = True
    signs["axial"] = axial
    gaps = rng.permutation(spec.n_exams) < round(spec.missing_share * spec.n_exams)
    exams = []
    for at in range(spec.n_exams):
        lacks = PLANES[int(rng.integers(3))] if gaps[at] else None
        exams.append(
            Exam(
                number=at,
                patient=f"SIM-{at - (at % _PATIENTS_WITH_TWO == 1) + 1:04d}",
                signs=frozenset(plane for plane in PLANES if signs[plane][at]),
                series=tuple(plane for plane in PLANES if plane != lacks),
                age_years=int(rng.integers(16, 71)),
                sex=str(rng.choice(["F", "M"])),
                onset=str(rng.choice(["sudden", "gradual"], p=[0.3, 0.7])),
                locking=str(rng.choice(["yes", "no"], p=[0.3, 0.7])),
                doubt=float(rng.random()),
            )
        )
    return exams


def simulate(spec: KneeSpec, exam: Exam, plane: str) -> NDArray[np.uint8]:
    """Return the slices of one series, (D, H, W), grey values of 8 bits."""
    rng = seeds.generator(spec.seed, "series", exam=exam.number, plane=plane)
    depth = np.linspace(-1, 1, spec.n_slices)[:, None, None]  # (D, 1, 1)
    row, column = (np.linspace(-1, 1, spec.size_px)[shape] for shape in ((slice(None), None), (None, slice(None))))
    top, left = rng.uniform(-_SHIFT, _SHIFT, 2)
    width = rng.uniform(0.53, 0.57) * np.sqrt(1 - 0.4 * depth**2)  # bones are narrower at the ends of the stack
    is_bone = (np.abs(column - left) < width) & (np.abs(row - top) < 0.85)
    is_gap = (np.abs(column - left) < width) & (np.abs(row - top) < 0.06)
    grey = np.where(is_gap, _GAP, np.where(is_bone, _BONE, _TISSUE))
    if plane in exam.signs:
        grey = grey + _sign(rng, depth, row - top, column - left)
    grey = rng.uniform(1 - _GAIN, 1 + _GAIN) * (grey + _TEXTURE * _texture(rng, grey.shape)) + _NOISE * rng.normal(
        size=grey.shape
    )
    return np.round(_GREY * np.clip(grey, 0, 1)).astype(np.uint8)


def _sign(
    rng: np.random.Generator, depth: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a bright patch in the lower bone, in most of the slices."""
    at = np.array([0.0, 0.45, 0.0]) + rng.uniform(-_SHIFT, _SHIFT, 3)
    sizes = 0.9, 0.4, 0.45
    apart: Sequence[NDArray[np.float64]] = depth, row, column
    squared = sum(((one - middle) / size) ** 2 for one, middle, size in zip(apart, at, sizes, strict=True))
    return np.asarray(_SIGN * np.exp(-(squared**2)), dtype=np.float64)


def _texture(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.normal(size=shape), (1.5, shape[1] / 24, shape[2] / 24))
    scaled: NDArray[np.float64] = field / field.std()
    return scaled
