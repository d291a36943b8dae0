"""Writes synthetic copies of data sets for nnU-Net, of its second version and of the Decathlon's older form.

Planted in the newer: two channels, one of which a case lacks; a case whose name ends in four digits; masks beside the
images; a table whose cells are cases or files, with blanks and an unknown label. In the older: names that end in four
digits without being channels, hidden files of another system, files listed from `./`, labels written as number to name,
cases without foreground, and images for testing without masks.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grandrounds.layouts.copies_pixels import noise
from grandrounds.layouts.copies_volumes import write_nifti
from grandrounds.layouts.truth import Truth, record

_SPACING_MM = (3.0, 0.75, 0.5)
_CASES = (  # part, case, patient, label; how the table writes the case
    ("imagesTr", "gland_0001", "P1", "benign", "gland_0001"),
    ("imagesTr", "gland_0002", "P1", "malignant", "gland_0002_0000.nii.gz"),
    ("imagesTr", "gland_0003", "P2", "malignant", "gland_0003.nii.gz"),
    ("imagesTr", "gland_0004", "P3", None, "gland_0004"),
    ("imagesTs", "gland_0005", "P4", "benign", "gland_0005"),
    ("imagesTs", "gland_0006", "P5", "malignant", "gland_0006"),
)
_MASKS = (("lung_0000", 0), ("lung_0001", 1), ("lung_0002", 2), ("lung_0003", 3), ("lung_0004", 0))  # case, value


def write_nnunet(folder: Path, seed: int = 0) -> Path:
    """Write six cases in two channels with a table of labels, and return their folder."""
    rng, root, truths = np.random.default_rng(seed), folder / "Dataset501_Glands", []
    lines = ["label, case ,patient"]
    for part, case, patient, label, written in _CASES:
        for channel in range(1 if case == "gland_0002" else 2):
            pixels = noise(rng, (2, 6, 7), 0, 500, np.int16)
            write_nifti(root / part / f"{case}_{channel:04d}.nii.gz", pixels, _SPACING_MM)
            if channel == 0:
                truths += _truths(f"{case}_0000", pixels, label, patient, "train" if part == "imagesTr" else "test")
        _write_mask(root / part.replace("images", "labels") / f"{case}.nii.gz", 1)
        lines.append(f"{label or 'n/a'} , {written},{patient}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    told = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    record(folder, truths)
    return root


def write_nnunet_masks(folder: Path, seed: int = 0) -> Path:
    """Write seven cases whose masks are all that could be a label, in the older form, and return their folder."""
    rng, root, truths = np.random.default_rng(seed), folder / "Task06_Lung", []
    for case, value in _MASKS:
        pixels = noise(rng, (2, 6, 7), -900, 300, np.int16)
        write_nifti(root / "imagesTr" / f"{case}.nii.gz", pixels, _SPACING_MM)
        _write_mask(root / "labelsTr" / f"{case}.nii.gz", value)
        for part in ("imagesTr", "labelsTr"):
            (root / part / f"._{case}.nii.gz").write_bytes(b"\0\5\x16\7")
        truths += _truths(case, pixels, "present" if value else "absent", None, None)
    for case in ("lung_0005", "lung_0006"):
        pixels = noise(rng, (2, 6, 7), -900, 300, np.int16)
        write_nifti(root / "imagesTs" / f"{case}.nii.gz", pixels, _SPACING_MM)
        truths += _truths(case, pixels, None, None, None)
    told = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "nodule", "2": "vessel", "3": "bone"},
        "licence": "CC BY-SA 4.0",
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case, _ in _MASKS
        ],
        "test": ["./imagesTs/lung_0005.nii.gz", "./imagesTs/lung_0006.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    record(folder, truths)
    return root


def _truths(
    name: str, pixels: NDArray[np.generic], label: str | None, patient: str | None, role: str | None
) -> list[Truth]:
    return [Truth(f"{name}-{at:04d}", plane, label, patient, _SPACING_MM[1:], role) for at, plane in enumerate(pixels)]


def _write_mask(path: Path, value: int) -> None:
    mask = np.zeros((2, 6, 7), np.uint8)
    mask[1, 2:4, 3] = value  # in one slice alone
    write_nifti(path, mask, _SPACING_MM)
