"""What a synthetic copy of a layout was written from, kept beside it so that reading can be checked against it.

A writer records arrays and facts that it had before it wrote anything. Nothing here knows how a layout is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.formats import arrays

FILE = "truth.npz"  # in the folder that a writer was given, beside the copy and never inside


@dataclass(frozen=True)
class Truth:
    """One sample that a copy has to be read as.

    Args:
        sample: Its name in the table `samples`.
        pixels: What was written, (H, W), (D, H, W) or with a leading axis of channels where there are several: in the
            unit that reading returns, Hounsfield units for CT.
        label: Its class; None where unknown.
        patient: Whose image it is; None where the layout does not tell.
        spacing_mm: Distance of the pixels along each of their axes, in their order; None where the files do not tell.
        role: Its role in the official split; None where there is none.
    """

    sample: str
    pixels: NDArray[Any]
    label: str | None
    patient: str | None = None
    spacing_mm: tuple[float, ...] | None = None
    role: str | None = None


def record(folder: Path, truths: Sequence[Truth]) -> None:
    """Write what a copy in this folder was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = [[one.sample, one.label, one.patient, one.spacing_mm, one.role] for one in truths]
    pixels = {f"pixels_{index}": one.pixels for index, one in enumerate(truths)}
    np.savez_compressed(folder / FILE, facts=np.array(json.dumps(facts)), **pixels)  # type: ignore[arg-type]  # the stub takes the arrays for allow_pickle


def recorded(folder: Path) -> list[Truth]:
    """Return what the copy in this folder was made from."""
    path = folder / FILE
    facts = json.loads(str(arrays.load_member(path, "facts")))
    return [
        Truth(
            sample,
            arrays.load_member(path, f"pixels_{index}"),
            label,
            patient,
            None if spacing_mm is None else tuple(spacing_mm),
            role,
        )
        for index, (sample, label, patient, spacing_mm, role) in enumerate(facts)
    ]
