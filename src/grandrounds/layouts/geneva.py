"""Reads the Geneva ILD database: CT sections whose regions of lung tissue are cut into patches, or ready-made patches.

Depeursinge et al., Comput Med Imaging Graph 2012; 36:227-238. For research, after a signed agreement; ask the MedGIFT
group of the University of Applied Sciences Western Switzerland (HES-SO), https://medgift.hevs.ch.

The database has four trees. `ILD_DB_txtROIs` (contours) is taken where the whole database is given, `ILD_DB_volumeROIs`
(masks) where it is given itself or there are no contours, `ILD_DB_talismanTestSuite` (patches) where it is given;
`ILD_DB_lungMasks` says which patches lie in the lung, if `patches.lung_fraction` asks for it. What a reader stumbles
over stands in `geneva_files`, for names, and in `geneva_rois`, for regions.

Outside the scan field some scanners stored -2000, which the rescale turns into -3024 HU. The file's values are kept as
they are; the step `window` clips them to its lower limit, so that they become air before anything else sees them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pydicom
from numpy.typing import NDArray

from grandrounds.data.draft import Draft
from grandrounds.data.options import SourceOptions
from grandrounds.data.patches import Box, PatchSpec, boxes, thinned
from grandrounds.errors import BadData
from grandrounds.layouts import talisman
from grandrounds.layouts.geneva_files import LUNGS, Series, only, series_of, tree_of
from grandrounds.layouts.geneva_rois import CLASSES, Roi, parse, rasterise, read_mask, regions, tissue
from grandrounds.wording import percent

NAME = "geneva-ild"
LICENCE = "research only, by signed agreement with the MedGIFT group (HES-SO)"
_TAGS = ["PatientAge", "PatientSex", "InstitutionName", "ConvolutionKernel", "Rows", "Columns"]
_Shape = tuple[int, int]


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the database in a folder, in the folder `ILD_DB` inside, or of one of its trees.

    Raises:
        BadData: No region is large enough for a patch.
    """
    if tree_of(source) is None and talisman.is_suite(source):
        return replace(talisman.draft(source), name=NAME, licence=LICENCE)
    found = read(source, options.patches)
    capped, lung = options.patches.max_patches, options.patches.lung_fraction
    notes = (
        "A patch is a case of its own; patches of a patient share tissue, dose and kernel.",
        *([] if capped is None else [f"At most {capped} patches of a patient and a class are used (max_patches)."]),
        *([f"Patches lie in the database's lung masks by {percent(lung)} at least."] if lung else []),
    )
    return replace(found, licence=LICENCE, notes=notes)


def read(root: Path, spec: PatchSpec, *, name: str = NAME) -> Draft:
    """Return a draft with one row per patch, each a case of its own.

    Args:
        root: Folder that holds a tree of regions, or that tree.
        spec: How regions are cut.
        name: Name of the set.

    Raises:
        BadData: There is no such tree, or no region large enough for a patch.
    """
    tree = tree_of(root.absolute())
    if tree is None:
        raise BadData(
            "there is no folder ILD_DB_txtROIs or ILD_DB_volumeROIs",
            where=root,
            remedy="give the folder that ILD_DB was unpacked to",
        )
    if spec.lung_fraction and not (tree.parent / LUNGS).is_dir():
        raise BadData(f"there is no folder {LUNGS}", where=tree.parent, remedy="leave patches.lung_fraction at 0")
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for series in series_of(tree):
        try:
            numbers = _numbers(series)
        except (OSError, BadData) as error:
            refused.append({"path": str(series.text), "reason": getattr(error, "what", type(error).__name__)})
            continue
        for number, rois in numbers:
            try:
                rows += _rows(series, number, rois, spec)
            except BadData as error:
                refused.append({"path": error.where, "reason": error.what})
    if not rows:
        raise BadData(
            "no region of interest holds a patch", where=root, remedy="ask for smaller patches or a lower fraction"
        )
    return Draft(
        name=name,
        root=root,
        rows=pl.DataFrame(thinned(rows, spec.max_patches), infer_schema_length=None),
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


def _numbers(series: Series) -> list[tuple[int, Sequence[Roi]]]:
    """Return the sections that have regions, and their contours where these are not masks."""
    if series.masks is not None:  # a mask without its section, or the other way round, says nothing
        return [(number, ()) for number in sorted(series.masks.keys() & series.sections.keys())]
    by_section: dict[int, list[Roi]] = defaultdict(list)
    for roi in parse(series.text.read_text(encoding="utf-8", errors="replace"), where=series.text):
        by_section[roi.number].append(roi)
    return sorted(by_section.items())


def _rows(series: Series, number: int, rois: Sequence[Roi], spec: PatchSpec) -> list[dict[str, Any]]:
    path = only(series.sections, number, "CT file", series.text)
    header = _header(path)
    shape = (header.pop("rows"), header.pop("columns"))
    found: dict[Box, set[str]] = defaultdict(set)
    cut = partial(boxes, code=1, size_px=spec.size_px, stride_px=spec.stride_px)
    for label, mask in _masks(series, number, rois, shape):
        for box in cut(mask, fraction=spec.fraction):
            found[box].add(label)
    if found and spec.lung_fraction:
        lung = read_mask(only(series.lungs, number, "lung mask", series.text), shape) != 0
        inside = set(cut(lung, fraction=spec.lung_fraction))
        found = {box: labels for box, labels in found.items() if box in inside}
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


def _masks(series: Series, number: int, rois: Sequence[Roi], shape: _Shape) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield class and mask of each region in a section that belongs to one of the classes."""
    if series.masks is not None:
        yield from regions(read_mask(only(series.masks, number, "mask", series.text), shape))
    for roi in rois:
        if (label := tissue(roi.label)) is not None:
            yield label, rasterise(roi.points, shape)


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
