"""Writes a synthetic copy of MRNet with what readers of the real one stumble over.

Planted: tables of labels without a heading, whose first line is an exam that a reader of headings would lose; ids that
a spreadsheet robbed of their zeros; another number of slices in each plane of an exam, and one so small that an array
could be taken for a colour picture; files of the same name in every plane; three tables that differ; an exam without
one of its series; and shadow files of a Mac.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grandrounds.layouts.copies_pixels import noise
from grandrounds.layouts.truth import Truth, record

ACL = ("no acl tear", "acl tear")
_Exam = tuple[str, str, tuple[int, int, int], Mapping[str, int]]  # part, exam, labels as in `_TASKS`, slices by plane
_EXAMS: tuple[_Exam, ...] = (
    ("train", "0000", (1, 1, 0), {"sagittal": 6, "coronal": 5, "axial": 7}),
    ("train", "0001", (1, 0, 1), {"sagittal": 4, "coronal": 6, "axial": 5}),
    ("train", "0002", (0, 0, 0), {"sagittal": 3, "coronal": 4, "axial": 6}),
    ("train", "0003", (1, 1, 1), {"sagittal": 5, "axial": 5}),
    ("valid", "1130", (0, 0, 0), {"sagittal": 5, "coronal": 5, "axial": 3}),
    ("valid", "1131", (1, 1, 1), {"sagittal": 6, "coronal": 4, "axial": 4}),
)
_TASKS = ("abnormal", "acl", "meniscus")
_HEIGHT_PX, _WIDTH_PX = 9, 8


def write_mrnet(folder: Path, seed: int = 0, n_more: int = 0) -> Path:
    """Write six exams in up to three planes with their three tables, record the labels of `acl`, return the folder.

    Args:
        folder: Where the copy goes.
        seed: Of the noise.
        n_more: Exams besides those six, three of four in the part `train`: a fusion of planes deals patients into folds
            within folds, for which six are too few.
    """
    rng, root, truths = np.random.default_rng(seed), folder / "MRNet-v1.0", []
    exams = (*_EXAMS, *(_further(k) for k in range(n_more)))
    for part, exam, labels, depths in exams:
        for plane, depth in depths.items():
            pixels = noise(rng, (depth, _HEIGHT_PX, _WIDTH_PX), 0, 255)
            path = root / part / plane / f"{exam}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, pixels)
            path.with_name(f"._{exam}.npy").write_bytes(b"\0\5\x16\7")
            role = {"train": "train", "valid": "test"}[part]  # there is no other part to test on
            truths += [
                Truth(f"{exam}-{plane}-{at:04d}", slice_, ACL[labels[1]], role=role) for at, slice_ in enumerate(pixels)
            ]
    for part in ("train", "valid"):
        for index, task in enumerate(_TASKS):
            lines = {exam: labels[index] for one, exam, labels, _ in exams if one == part}
            _write_labels(root / f"{part}-{task}.csv", lines, is_respread=task == "meniscus")
    record(folder, truths)
    return root


def _further(k: int) -> _Exam:
    """Return an exam without anything odd, whose ligament is torn in every other one."""
    in_valid = k // 4
    part, exam, turn = ("valid", 1132 + in_valid, in_valid) if k % 4 == 3 else ("train", 4 + k - in_valid, k - in_valid)
    acl, meniscus = turn % 2, turn // 2 % 2
    depths = {plane: 3 + (k + at) % 4 for at, plane in enumerate(("sagittal", "coronal", "axial"))}
    return part, f"{exam:04d}", (acl | meniscus, acl, meniscus), depths


def _write_labels(path: Path, lines: Mapping[str, int], *, is_respread: bool) -> None:
    """Write a table as it comes, or as a spreadsheet saves it: without zeros in front, with lines as on Windows."""
    ids = {exam: str(int(exam)) if is_respread else exam for exam in lines}
    end = "\r\n" if is_respread else "\n"
    path.write_text("".join(f"{ids[exam]},{label}{end}" for exam, label in lines.items()), encoding="utf-8", newline="")
