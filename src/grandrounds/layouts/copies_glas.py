"""Writes a synthetic copy of GlaS (Warwick-QU) with what readers of the real one stumble over.

Planted: blanks before names and values of `Grade.csv`, masks beside the images, two spellings of a finer grade, images
of two sizes, and patients 2 and 10 in train and in test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grandrounds.layouts.copies_pixels import noise, save
from grandrounds.layouts.truth import Truth, record

_HEAD = "name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
_ROWS = (  # name, patient, grade, finer grade, width in pixels
    ("testA_1", "2", "malignant", "moderately differentiated", 40),
    ("testA_2", "10", "benign", "adenomatous", 40),
    ("testB_1", "3", "malignant", "moderately-to-poorly differentated", 40),
    ("testB_2", "4", "benign", "healthy", 40),
    ("train_1", "2", "malignant", "poorly differentiated", 40),
    ("train_2", "10", "benign", "adenomatous", 40),
    ("train_3", "5", "malignant", "moderately differentated", 40),
    ("train_10", "6", "benign", "healthy", 30),
)


def write_glas(folder: Path, seed: int = 0) -> Path:
    """Write stained images of six patients, two of them in train and in test, and return their folder."""
    rng, inner = np.random.default_rng(seed), folder / "Warwick QU Dataset"
    truths, lines = [], [_HEAD]
    for name, patient, grade, finer, width_px in _ROWS:
        pixels = noise(rng, (32, width_px, 3), 0, 255)
        save(inner / f"{name}.bmp", pixels)
        save(inner / f"{name}_anno.bmp", np.zeros((32, width_px), np.uint8))
        lines.append(f"{name}, {patient}, {grade}, {finer}")
        role = "train" if name.startswith("train") else "test"
        truths.append(Truth(name, np.moveaxis(pixels, -1, 0), grade, patient, role=role))
    (inner / "Grade.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    record(folder, truths)
    return inner
