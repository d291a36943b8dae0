"""Reads the layout of the Geneva ILD database: CT files in folders of patients, with regions in text files.

Depeursinge et al., Comput Med Imaging Graph 2012; 36:227-238. For research, after a signed agreement; ask the MedGIFT
group of the University of Applied Sciences Western Switzerland (HES-SO), https://medgift.hevs.ch.

A text file is made of `key: value` lines. What a reader stumbles over: a contour inherits the last label and section
above it; points are millimetres; sections are counted from 1 and belong to the CT file whose name ends in that number
(not to a place in an alphabetical list, and padded in CT names but not in mask names); some names run the series and
the section together; localisations have several words; some patients have a folder for each series, and the pilot
patients one folder more; archives made on a Mac bring shadow files that start with a dot.

Outside the scan field some scanners stored -2000, which the rescale turns into -3024 HU. The file's values are kept as
they are; the step `window` clips them to its lower limit, so that they become air before anything else sees them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import polars as pl
import pydicom
from numpy.typing import NDArray

from grandrounds.data.draft import Draft
from grandrounds.data.options import SourceOptions
from grandrounds.data.patches import Box, PatchSpec, boxes, spread
from grandrounds.errors import BadData

TREE = "ILD_DB_txtROIs"
# Words of the ROI files to the five classes of Li et al. 2014; other tissues are left out.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "healthy": "normal",
        "emphysema": "emphysema",
        "ground_glass": "ground_glass",
        "fibrosis": "fibrosis",
        "micronodules": "micronodules",
    }
)
LICENCE = "research only, by signed agreement with the MedGIFT group (HES-SO)"
_PILOT = "HRCT_pilot"
_CT_DIGITS = 4  # of a section's number in the name of a CT file
_FINEST = 4  # contours are rasterised from sixteenths of a pixel
_TAGS = ["PatientAge", "PatientSex", "InstitutionName", "ConvolutionKernel", "Rows", "Columns"]


@dataclass(frozen=True, slots=True)
class Roi:
    """One contour: its label, the section that it lies in (1 is the first), and its points x, y in pixels, (n, 2)."""

    label: str
    number: int
    points: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Series:
    # The files of one series: the text, and CT files by the number at the end of their names.
    patient: str
    text: Path
    sections: Mapping[int, Sequence[Path]]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the database in a folder, or in the folder `ILD_DB` inside.

    Raises:
        BadData: No region is large enough for a patch.
    """
    found = read(source, options.patches)
    capped = options.patches.max_patches
    notes = (
        "A patch is a case of its own; patches of a patient share tissue, dose and kernel.",
        *([] if capped is None else [f"At most {capped} patches of a patient and a class are used (max_patches)."]),
    )
    return replace(found, licence=LICENCE, notes=notes)


def read(root: Path, spec: PatchSpec, *, name: str = "geneva-ild") -> Draft:
    """Return a draft with one row per patch, each a case of its own.

    Args:
        root: Folder that holds `ILD_DB_txtROIs`, or that folder itself.
        spec: How regions are cut.
        name: Name of the set.

    Raises:
        BadData: There is no such folder, or no region large enough for a patch.
    """
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for series in _series(root.absolute()):
        try:
            rois = parse(series.text.read_text(encoding="utf-8", errors="replace"), where=series.text)
        except (OSError, BadData) as error:
            refused.append({"path": str(series.text), "reason": getattr(error, "what", type(error).__name__)})
            continue
        by_section: dict[int, list[Roi]] = defaultdict(list)
        for roi in rois:
            by_section[roi.number].append(roi)
        for number, here in sorted(by_section.items()):
            try:
                rows += _rows(series, number, here, spec)
            except BadData as error:
                refused.append({"path": error.where, "reason": error.what})
    if not rows:
        raise BadData(
            "no region of interest holds a patch", where=root, remedy="ask for smaller patches or a lower fraction"
        )
    return Draft(
        name=name,
        root=root,
        rows=pl.DataFrame(_thinned(rows, spec.max_patches), infer_schema_length=None),
        task="tissue",
        task_kind="multiclass",
        classes=tuple(CLASSES.values()),
        condition="interstitial lung disease: tissue pattern of an HRCT patch",
        patient_known=True,
        flips=True,
        refused=pl.DataFrame(
            refused, schema={"path": pl.String, "member": pl.String, "frame": pl.Int64, "reason": pl.String}
        ),
    )


def parse(text: str, *, where: object = None) -> list[Roi]:
    """Return the contours of a ROI file, in its order.

    Raises:
        BadData: A line cannot be understood, the spacing is missing, or a contour has no label or section.
    """
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip())
    spacing: dict[str, float] = {}
    label, number, rois = None, None, []
    for n, line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        try:
            if key.lower() in ("spacingx", "spacingy"):
                spacing[key[-1].lower()] = float(value)
            elif key == "label":
                label = value
            elif key == "slice_number":
                number = int(value)
            elif key == "nb_points_on_contour":
                points = [next(lines)[1].split() for _ in range(int(value))]
                per_pixel = np.array([spacing["x"], spacing["y"]])
                if label is None or number is None:
                    raise BadData("a contour has no label or no section above it", where=f"{where}, line {n}")
                rois.append(Roi(label, number, np.array(points, float).reshape(-1, 2) / per_pixel))
        except (ValueError, KeyError, StopIteration, RuntimeError):
            raise BadData("a line of the ROI file cannot be understood", where=f"{where}, line {n}") from None
    return rois


def rasterise(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a contour, its line included, (H, W)."""
    canvas = np.zeros(shape, np.uint8)
    if len(points):
        cv2.fillPoly(canvas, [np.round(points * 2**_FINEST).astype(np.int32)], 1, cv2.LINE_8, _FINEST)
    return canvas.astype(bool)


def _series(root: Path) -> Iterator[_Series]:
    tree = next((one for one in (root, root / TREE, root / "ILD_DB" / TREE) if one.name == TREE and one.is_dir()), None)
    if tree is None:
        raise BadData(f"there is no folder {TREE}", where=root, remedy="give the folder that ILD_DB was unpacked to")
    texts = (text for text in tree.rglob("*.txt") if not text.name.startswith("."))
    for text in sorted(texts, key=lambda path: [_natural(part) for part in path.parts]):
        parts = text.relative_to(tree).parts
        if len(parts) > 1:  # a text beside the patients' folders is a readme
            patient = parts[1] if parts[0] == _PILOT and len(parts) > 2 else parts[0]
            yield _Series(patient, text, _sections(text))


def _sections(text: Path) -> dict[int, list[Path]]:
    """Return the CT files beside a text by their sections; where several series lie there, its own."""
    files = [path for path in sorted(text.parent.glob("*.dcm")) if not path.name.startswith(".")]
    series = found.group() if (found := re.search(r"\d+$", text.stem)) else ""
    own = [path for path in files if series and re.search(rf"(?<!\d){series}(\D|\d{{{_CT_DIGITS}}}$)", path.stem)]
    sections: dict[int, list[Path]] = defaultdict(list)
    for path in own or files:
        if (number := trailing_number(path, series)) is not None:
            sections[number].append(path)
    return dict(sections)


def trailing_number(path: Path, series: str = "") -> int | None:
    """Return the section's number at the end of a file's name, None where there is none.

    Args:
        path: A CT or mask file.
        series: Digits of its series; where they run into the section's four, only the latter count.

    >>> trailing_number(Path("CT-7605-0004.dcm")), trailing_number(Path("roi_mask_7605_4.dcm"))
    (4, 4)
    >>> trailing_number(Path("CT76050004.dcm"), "7605")
    4
    """
    found = re.search(r"\d+$", path.stem)
    if not found:
        return None
    digits = found.group()
    together = len(digits) == len(series) + _CT_DIGITS and digits.startswith(series)
    return int(digits[-_CT_DIGITS:] if together else digits)


def _natural(text: str) -> list[tuple[int, str]]:
    # "2" before "10": the patients' folders are bare numbers.
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _rows(series: _Series, number: int, rois: Sequence[Roi], spec: PatchSpec) -> list[dict[str, Any]]:
    paths = series.sections.get(number, ())
    if len(paths) != 1:
        n = "no CT file" if not paths else f"more than one CT file ({len(paths)})"
        raise BadData(f"there is {n} for section {number}", where=series.text)
    path = paths[0]
    header = _header(path)
    shape = (header.pop("rows"), header.pop("columns"))
    cut = partial(boxes, code=1, size_px=spec.size_px, stride_px=spec.stride_px, fraction=spec.fraction)
    found: dict[Box, set[str]] = defaultdict(set)
    for roi in rois:
        if roi.label in CLASSES:
            for box in cut(rasterise(roi.points, shape)):
                found[box].add(CLASSES[roi.label])
    return [
        {
            "sample": f"{series.patient}-{path.stem}-{box[0]:03d}-{box[1]:03d}",
            "patient": series.patient,
            "label": next(iter(labels)),
            "path": str(path),
            "box": list(box),
            "modality": "CT",
            **header,
        }
        for box, labels in sorted(found.items())
        if len(labels) == 1  # two readers' words for one patch: it has no label
    ]


def _header(path: Path) -> dict[str, Any]:
    # Nothing but these tags is read, and no pixel.
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=False)
        age = re.fullmatch(r"0*(\d+)Y", str(ds.get("PatientAge", "")))  # (0010,1010)
        return {
            "site": _text(ds.get("InstitutionName")),  # (0008,0080)
            "kernel": _text(ds.get("ConvolutionKernel")),  # (0018,1210)
            "age_years": float(age.group(1)) if age else None,
            "sex": _text(ds.get("PatientSex")),  # (0010,0040)
            "rows": int(ds.Rows),
            "columns": int(ds.Columns),
        }
    except Exception as error:  # noqa: BLE001  (pydicom raises many kinds on a hostile file)
        raise BadData(f"cannot read the DICOM header: {type(error).__name__}", where=path) from None


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def _thinned(rows: list[dict[str, Any]], n: int | None) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["patient"], row["label"]].append(row)
    return [row for group in groups.values() for row in spread(group, n)]
