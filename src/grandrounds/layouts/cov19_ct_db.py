"""Reads COV19-CT-DB: chest CT of people with and without COVID-19, a folder of JPEG slices for each scan.

Kollias et al., ICCV Workshops 2021, arXiv 2106.07524. For research, after a signed agreement; ask the organisers at
https://mlearn.lincoln.ac.uk/mia-cov19d.

`{train,val}/{covid,non-covid}/ct_scan_N/*.jpg`, and for the test `test/<name>/*.jpg`, whose labels were not published.
Slices are numbered without padding, so that 10 stands before 2 in a list. The numbers of scans begin anew in each part
and class: a scan is its folder with those above it. A scan has 50 to 700 slices; most lie across the body, some do not,
and nothing tells which.

A case is a scan. Whose it is, and how far apart its slices lie, is not told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from grandrounds.data.draft import Draft, official_role, refusals
from grandrounds.data.options import SourceOptions
from grandrounds.data.units import UNITS, by_unit
from grandrounds.errors import BadData
from grandrounds.layouts.natural import natural
from grandrounds.tables import Role

CLASSES = ("non-covid", "covid")
_SLICES = (".jpg", ".jpeg", ".png")


class _Scan(NamedTuple):
    """The folder of one scan, and its slices from one end of the body to the other."""

    folder: Path
    case: str
    role: Role
    label: str | None
    slices: Sequence[Path]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the folder that holds `train` and `val`, or of one around it.

    Raises:
        BadData: There is no scan with slices.
    """
    scans = list(_scans(_root(source)))
    rows = [_rows(scan) for scan in scans if scan.slices]
    if not rows:
        raise BadData(
            "there is no scan with slices",
            where=source,
            remedy="give the folder with train and val, each with covid and non-covid inside",
        )
    drafted, files = by_unit(pl.concat(rows), options.unit)
    return Draft(
        name="cov19-ct-db",
        root=source,
        rows=drafted.with_columns(modality=pl.lit("CT"), body_part=pl.lit("CHEST")),
        files=files,
        task="covid",
        task_kind="binary",
        classes=CLASSES,
        positive=CLASSES[1],
        condition="COVID-19 in a chest CT",
        patient_known=False,
        licence="research only, by signed agreement with the organisers of MIA-COV19D",
        notes=(*_told(scans, options.unit), UNITS[options.unit]),
        refused=refusals([(str(one.folder), None, None, "the scan has no slices") for one in scans if not one.slices]),
    )


def _root(source: Path) -> Path:
    """Return the folder that holds the parts."""
    return next((one for one in (source, *_folders(source)) if any(_parts(one))), source)


def _parts(root: Path) -> Iterator[tuple[Role, Path]]:
    for folder in _folders(root):
        if (role := official_role(folder.name)) is not None:
            yield role, folder


def _scans(root: Path) -> Iterator[_Scan]:
    """Yield the scans of every part; the folders of a part are classes if they are called so, else scans."""
    for role, part in _parts(root):
        classes = {folder: label for folder in _folders(part) if (label := _label(folder.name))}
        places: list[tuple[Path, str | None]] = [
            (scan, label) for folder, label in classes.items() for scan in _folders(folder)
        ]
        places += [(scan, None) for scan in _folders(part) if scan not in classes]
        for folder, label in places:
            yield _Scan(folder, folder.relative_to(root).as_posix(), role, label, _slices(folder))


def _label(name: str) -> str | None:
    """Return the class that a folder is called after.

    >>> _label("Non_COVID"), _label("covid"), _label("ct_scan_1")
    ('non-covid', 'covid', None)
    """
    plain = name.casefold().replace("_", "-").replace("noncovid", "non-covid")
    return plain if plain in CLASSES else None


def _folders(folder: Path) -> list[Path]:
    inner = (one for one in folder.iterdir() if one.is_dir() and not one.name.startswith((".", "__")))
    return sorted(inner, key=lambda one: natural(one.name))


def _slices(folder: Path) -> Sequence[Path]:
    found = (one for one in folder.iterdir() if one.suffix.lower() in _SLICES and not one.name.startswith("."))
    return sorted(found, key=lambda one: natural(one.name))


def _rows(scan: _Scan) -> pl.DataFrame:
    """Return a row for each slice; the whole set has more than a million."""
    return pl.DataFrame({"path": list(map(str, scan.slices))}).select(
        "path",
        pl.int_range(pl.len(), dtype=pl.Int64).alias("order"),
        sample=pl.lit(scan.case),
        case=pl.lit(scan.case),
        series=pl.lit(None, dtype=pl.String()),
        member=pl.lit(None, dtype=pl.String()),
        frame=pl.lit(None, dtype=pl.Int64()),
        label=pl.lit(scan.label, dtype=pl.String()),
        role=pl.lit(None if scan.label is None else scan.role, dtype=pl.String()),
    )


def _told(scans: Sequence[_Scan], unit: str) -> Iterator[str]:
    usable = [scan for scan in scans if scan.slices]
    yield f"{len(usable):,} scans of {sum(len(scan.slices) for scan in usable):,} slices are read."
    for role, n in sorted(Counter(scan.role for scan in usable if scan.label is None).items()):
        yield f"The labels of {n:,} scans in the part {role} are unknown, so that they enter no split."
    yield "Whose scan it is was not published, so that a patient with two scans may stand on two sides of a split."
    if unit == "slice":
        yield "A slice has the label of its scan, whether or not it shows the disease."
