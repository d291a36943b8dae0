"""Writes small sets of nobody in the general layouts: class folders, a table, and archives like those of MedMNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grandrounds.layouts.copies_pixels import noise, save
from grandrounds.layouts.truth import Truth, record

_PARTS = {"train": "train", "val": "valid", "test": "test"}


def write_folder(folder: Path, seed: int = 0) -> Path:
    """Write four pictures of either class in a folder for each part and class, and return the outer one."""
    rng, inner, truths = np.random.default_rng(seed), folder / "pictures", []
    for index in range(8):
        part, label = ("train", "train", "val", "test")[index // 2], ("benign", "malignant")[index % 2]
        pixels = noise(rng, (6, 7), 0, 255)
        save(inner / part / label / f"{index}.png", pixels)
        truths.append(Truth(f"{part}/{label}/{index}", pixels, label, role=_PARTS[part]))
    record(folder, truths)
    return inner


def write_table(folder: Path, seed: int = 0) -> Path:
    """Write eight pictures of four patients and a table that tells of them, and return the table."""
    rng, truths, lines = np.random.default_rng(seed), [], ["Image, Patient ID ,Diagnosis,Split"]
    for index in range(8):
        label, patient, part = (
            "ab"[index % 2],
            f"{index // 2:03d}",
            ("training", "validation", "test", "test")[index // 2],
        )
        pixels = noise(rng, (6, 7, 3), 0, 255)
        save(folder / "images" / f"{index}.png", pixels)
        lines.append(f"{index}.png, {patient},{label} ,{part}")
        role = {"training": "train", "validation": "valid"}.get(part, part)
        truths.append(Truth(str(index), np.moveaxis(pixels, -1, 0), label, patient, role=role))
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    record(folder, truths)
    return folder / "labels.csv"


def write_medmnist(folder: Path, seed: int = 0) -> Path:
    """Write an archive of grey images, as the two-dimensional sets of MedMNIST are, and return it."""
    return _archive(folder / "own.npz", (6, 7), seed)


def write_medmnist_3d(folder: Path, seed: int = 0) -> Path:
    """Write an archive of volumes, as the three-dimensional sets of MedMNIST are, and return it."""
    return _archive(folder / "own3d.npz", (5, 6, 7), seed)


def _archive(path: Path, shape: tuple[int, ...], seed: int) -> Path:
    rng, truths = np.random.default_rng(seed), []
    arrays: dict[str, Any] = {}
    for part, n in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{part}_images"] = noise(rng, (n, *shape), 0, 255)
        arrays[f"{part}_labels"] = (np.arange(n, dtype=np.uint8) % 2)[:, None]
        for index, image in enumerate(arrays[f"{part}_images"]):
            name = f"{part}-{index:05d}"
            named = [(name, image)] if image.ndim == 2 else [(f"{name}-{d:03d}", one) for d, one in enumerate(image)]
            truths += [Truth(sample, pixels, str(index % 2), role=_PARTS[part]) for sample, pixels in named]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    record(path.parent, truths)
    return path
