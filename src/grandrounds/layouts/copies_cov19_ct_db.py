"""Writes a synthetic copy of COV19-CT-DB with what readers of the real one stumble over.

Planted: slices numbered without padding, and a number that is missing; scans of the same name in both classes and both
parts; the name of one class inside that of the other; a test without labels, in folders with random names; scans of
different sizes and numbers of slices, one with a single slice; and files that computers leave behind.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from grandrounds.layouts.copies_pixels import noise
from grandrounds.layouts.truth import Truth, record

_BLOCK_PX = 8  # of JPEG, ITU-T T.81: a block of one grey value comes back as it was
_BEST = 100  # quality
_SCANS = (  # place, numbers of the slices, height and width in blocks, label
    ("train/covid/ct_scan_0", (*range(5), *range(6, 12)), (2, 3), "covid"),
    ("train/covid/ct_scan_1", (0, 1, 2), (2, 2), "covid"),
    ("train/covid/ct_scan_10", (0, 1), (2, 2), "covid"),
    ("train/non-covid/ct_scan_0", (8, 9, 10), (2, 2), "non-covid"),
    ("train/non-covid/ct_scan_1", (0,), (3, 2), "non-covid"),
    ("val/covid/ct_scan_0", (0, 1), (2, 2), "covid"),
    ("val/non-covid/ct_scan_0", (0, 1, 2), (2, 2), "non-covid"),
    ("test/3fa1c2d0-5b6e-4f70-8a91-b2c3d4e5f607", (0, 1), (2, 2), None),
)
_ROLES = {"train": "train", "val": "test", "test": None}  # of what has labels, `val` is all there is to test on


def write_cov19_ct_db(folder: Path, seed: int = 0) -> Path:
    """Write eight scans, one of them without a label, and return their folder."""
    rng, root, truths = np.random.default_rng(seed), folder / "COV19-CT-DB", []
    for place, numbers, blocks, label in _SCANS:
        for at, number in enumerate(numbers):
            pixels = np.kron(noise(rng, blocks, 0, 255), np.ones((_BLOCK_PX, _BLOCK_PX), np.uint8))
            _save(root / place / f"{number}.jpg", pixels)
            truths.append(Truth(f"{place}-{at:04d}", pixels, label, role=_ROLES[place.partition("/")[0]]))
        (root / place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
        (root / place / f"._{numbers[0]}.jpg").write_bytes(b"\0\5\x16\7")
    (root / "__MACOSX" / "train").mkdir(parents=True)
    record(folder, truths)
    return root


def _save(path: Path, pixels: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path, quality=_BEST)
