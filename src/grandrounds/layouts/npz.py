"""Archives in the manner of MedMNIST: `train_images`, `train_labels`, `val_…`, `test_…` in one `.npz` file.

Further arrays of the same length, such as `train_patient` or `train_side`, come along as columns. Images of three axes
of space, as in MedMNIST 3D, are volumes: each slice is a sample and the volume its case, unless `unit` says otherwise.
Where an image has several labels, one finding is asked for.

An array of more than 2 GiB, as the larger sizes of MedMNIST+ have, is read from its unpacked form, image by image: a
folder beside the archive, called as it is, with `train_images.npy` and so on. Sets that are asked for by name are
unpacked by themselves.
"""

from __future__ import annotations

import math
import re
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import specs
from grandrounds.data.dataset import Published
from grandrounds.data.draft import Draft, TaskKind, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats import arrays
from grandrounds.formats.budget import MAX_MEMBER_BYTES
from grandrounds.specs import Spec
from grandrounds.tables import Role

_PARTS: dict[str, Role] = {"train": "train", "val": "valid", "test": "test"}
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


class KnownArchive(Spec):
    """What is known of an archive from the name of its file; one table of `published.toml`.

    Args:
        counts: Images in train, val and test as published; other numbers mean another archive. None for unchecked.
        kind: Kind of the task; None for what the number of classes says.
        classes: Names of the labels 0, 1, …; empty where an image has several labels.
        findings: Names of these labels, each absent (0) or present (1) by itself.
        results: (method, AUC, accuracy) on the official test part.
    """

    counts: tuple[int, int, int] | None = None
    kind: TaskKind | None = None
    classes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    positive: str | None = None
    condition: str | None = None
    modality: str | None = None
    body_part: str | None = None
    flips: bool = False
    licence: str | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    results: tuple[tuple[str, float, float], ...] = ()


class Finding(NamedTuple):
    """One of several labels of an image: its column, and its name."""

    column: int
    name: str


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of an archive; what its labels mean is known for a few names of files.

    Raises:
        BadData: The archive lacks images or labels, or their numbers differ.
        BadSpec: An image has several labels, and the option `task` names none of them.
    """
    names = set(arrays.members(source))
    parts = [part for part in _PARTS if {f"{part}_images", f"{part}_labels"} <= names]
    if not parts:
        raise BadData(
            f"the archive has no arrays train_images and train_labels; it has: {', '.join(sorted(names)[:12])}",
            where=source,
            remedy="name the arrays {train,val,test}_images and {train,val,test}_labels",
        )
    known = _known(source, parts)
    finding = _finding(source, parts[0], known, options)
    rows = pl.concat([_part(source, part, names, finding) for part in parts], how="diagonal_relaxed")
    if finding is not None:
        known = _of_finding(known or KnownArchive(), finding)
    if known is not None:
        rows = rows.with_columns(
            pl.lit(known.modality).alias("modality"),
            pl.lit(known.body_part).alias("body_part"),
            _named(rows["label"], known.classes, source),
        )
    if len(parts) == 1:
        rows = rows.with_columns(role=pl.lit(None, dtype=pl.String()))
    notes: tuple[str, ...] = ()
    if _is_volume(source, parts[0]):
        rows, notes = _of_volumes(rows, options.unit, source)
    return _draft(source, with_columns(rows), known, notes)


def _draft(source: Path, rows: pl.DataFrame, known: KnownArchive | None, notes: tuple[str, ...]) -> Draft:
    if known is None:
        return Draft(name=source.stem, root=source, rows=rows, notes=notes, neutral_names=True)
    exact = re.search(r"_\d+$", source.stem) is None  # results belong to the size that they were measured at
    return Draft(
        name=source.stem,
        root=source,
        rows=rows,
        task_kind=known.kind,
        classes=known.classes,
        positive=known.positive,
        condition=known.condition,
        flips=known.flips and rows["side"].is_null().all(),
        licence=known.licence,
        notes=(*known.notes, *notes),
        neutral_names=True,
        published=tuple(
            Published(method=method, metric=metric, value=value, source=known.source)
            for method, auc, accuracy in (known.results if exact else ())
            for metric, value in (("auc", auc), ("accuracy", accuracy))
        ),
    )


def _part(source: Path, part: str, names: set[str], finding: Finding | None) -> pl.DataFrame:
    n = _shape(source, f"{part}_images")[0]
    path, member = _place(source, f"{part}_images")
    columns: dict[str, Any] = {
        "sample": [f"{part}-{index:05d}" for index in range(n)],
        "path": [path] * n,
        "member": [member] * n,
        "frame": range(n),
        "role": [_PARTS[part]] * n,
        "label": _labels(arrays.load_member(source, f"{part}_labels"), source, finding),
    }
    for name in sorted(names):
        column = name.removeprefix(f"{part}_")
        if name.startswith(f"{part}_") and column not in ("images", "labels"):
            values = arrays.load_member(source, name)
            if values.ndim == 1:
                columns[column] = [str(value) for value in values.tolist()]
    odd = [name for name, values in columns.items() if len(values) != n]
    if odd:
        raise BadData(
            f"{part} has {n} images but another number of {', '.join(odd)}",
            where=source,
            remedy="each array of a part needs one row an image",
        )
    if "side" in columns:
        columns["side"] = [_SIDES.get(value.strip().lower()) for value in columns["side"]]
    return pl.DataFrame(columns)


def _labels(values: NDArray[Any], source: Path, finding: Finding | None) -> list[str]:
    if values.ndim == 2 and (finding is not None or values.shape[1] == 1):
        values = values[:, finding.column if finding else 0]  # (N,)
    if values.ndim != 1:
        raise BadData(f"the labels have the shape {values.shape}", where=source, remedy="give each image a row of them")
    if values.dtype.kind == "f" and np.array_equal(values, np.round(values)):
        values = values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise BadData(
            "the labels are neither whole numbers nor names",
            where=source,
            remedy="give whole numbers from 0, or names of classes",
        )
    return [str(value) for value in values.tolist()]


def _named(labels: pl.Series, classes: tuple[str, ...], source: Path) -> pl.Series:
    names = {str(index): name for index, name in enumerate(classes)}
    if not labels.is_in(list(names)).all():
        raise BadData(
            f"the labels of {source.stem} are 0 to {len(classes) - 1}, this archive has others",
            where=source,
            remedy="rename the file: its name says that it is that archive",
        )
    return labels.replace_strict(names, return_dtype=pl.String())


def _finding(source: Path, part: str, known: KnownArchive | None, options: SourceOptions) -> Finding | None:
    """Return which column of the labels is asked for; None where there is only one."""
    shape, wanted = _shape(source, f"{part}_labels"), options.task
    if len(shape) != 2 or shape[1] == 1:
        if options.tasks:
            raise BadSpec(
                "every image has one label, so that there is one task", where=source, remedy="leave out tasks"
            )
        return None
    names = known.findings if known else tuple(str(column) for column in range(shape[1]))
    if wanted not in names:
        raise BadSpec(
            f"every image has {shape[1]} labels, and this asks for one of them",
            where=source,
            remedy=f"choose the task: {', '.join(names)}; or study several with --tasks FIRST,SECOND",
        )
    return Finding(names.index(wanted), wanted)


def _of_finding(known: KnownArchive, finding: Finding) -> KnownArchive:
    """Return what is known of one finding: absent or present, whatever else the image shows."""
    return known.replaced(
        kind="binary",
        classes=(f"no {finding.name}", finding.name),
        positive=finding.name,
        condition=finding.name,
        notes=(
            *known.notes,
            "Every image has several labels, each absent or present; this study asks for one of them.",
        ),
    )


def unpack_large(source: Path) -> None:
    """Write the arrays of an archive that are too large to be read at once into the folder beside it."""
    for member in arrays.members(source):
        place = source.with_suffix("") / f"{member}.npy"
        if not _is_large(source, member) or place.is_file():
            continue
        place.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(source) as archive, tempfile.TemporaryDirectory(dir=place.parent) as arriving:
            Path(archive.extract(f"{member}.npy", arriving)).replace(place)


def _place(source: Path, member: str) -> tuple[str, str | None]:
    """Return file and member where an array is read from."""
    if not _is_large(source, member):
        return str(source), member
    place = source.with_suffix("") / f"{member}.npy"
    if not place.is_file():
        raise BadData(
            f"{member} is larger than {MAX_MEMBER_BYTES / 2**30:.0f} GiB, so it has to be unpacked first",
            where=source,
            remedy=f"unzip {source.name} -d {source.stem}",
        )
    return str(place), None


def _is_large(source: Path, member: str) -> bool:
    header = arrays.header_of(source, member)
    return math.prod(header.shape) * header.dtype.itemsize > MAX_MEMBER_BYTES


def _shape(source: Path, member: str) -> tuple[int, ...]:
    header = arrays.header_of(source, member)
    arrays.refuse_objects(header, source, member)
    shape = header.shape
    if not shape:
        raise BadData(f"{member} is one number", where=source, remedy="give one row for each image")
    return shape


def _is_volume(source: Path, part: str) -> bool:
    shape = _shape(source, f"{part}_images")[1:]
    return len(shape) == 4 or (len(shape) == 3 and min(shape) > arrays.MOST_CHANNELS)


def _of_volumes(rows: pl.DataFrame, unit: str, source: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows of an archive of volumes as they are, or one for each slice."""
    if unit == "volume":
        return rows, ("A sample is a whole volume.",)
    if rows["member"].has_nulls():
        raise BadData("slices of an unpacked archive are not read", where=source, remedy="choose --unit volume")
    depth = {member: _shape(source, member)[1] for member in rows["member"].unique()}
    slices = rows.with_columns(
        case=pl.col("sample"),
        member=pl.format("{}[{}]", "member", "frame"),
        frame=pl.int_ranges(0, pl.col("member").replace_strict(depth, return_dtype=pl.Int64)),
    ).explode("frame")
    slices = slices.with_columns(
        sample=pl.format("{}-{}", "sample", pl.col("frame").cast(pl.String()).str.zfill(3)), order="frame"
    )
    return slices, ("A sample is a slice; it has the label of its volume, which is its case.",)


def _known(source: Path, parts: Sequence[str]) -> KnownArchive | None:
    table = specs.read_toml(Path(__file__).with_name("published.toml"))
    found = table.get(re.sub(r"_\d+$", "", source.stem.lower()))
    if found is None:
        return None
    counts = [_shape(source, f"{part}_images")[0] if part in parts else 0 for part in _PARTS]
    known = specs.parse(KnownArchive, found, where="published.toml")
    return known if known.counts is None or list(known.counts) == counts else None
