"""Archives in the manner of MedMNIST: `train_images`, `train_labels`, `val_…`, `test_…` in one `.npz` file.

Further arrays of the same length, such as `train_patient` or `train_side`, come along as columns.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import specs
from grandrounds.data.dataset import Published
from grandrounds.data.draft import Draft, TaskKind, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData
from grandrounds.formats import arrays
from grandrounds.specs import Spec
from grandrounds.tables import Role

_PARTS: dict[str, Role] = {"train": "train", "val": "valid", "test": "test"}
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


class KnownArchive(Spec):
    """What is known of an archive from the name of its file; one table of `published.toml`.

    Args:
        counts: Images in train, val and test as published; other numbers mean another archive. None for unchecked.
        kind: Kind of the task; None for what the number of classes says.
        classes: Names of the labels 0, 1, …
        results: (method, AUC, accuracy) on the official test part.
    """

    counts: tuple[int, int, int] | None = None
    kind: TaskKind | None = None
    classes: tuple[str, ...]
    positive: str | None = None
    condition: str | None = None
    modality: str | None = None
    body_part: str | None = None
    flips: bool = False
    licence: str | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    results: tuple[tuple[str, float, float], ...] = ()


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of an archive; what its labels mean is known for a few names of files.

    Raises:
        BadData: The archive lacks images or labels, their numbers differ, or an image has several labels.
    """
    del options  # the arrays have fixed names; what is left applies to every source
    names = set(arrays.members(source))
    parts = [part for part in _PARTS if {f"{part}_images", f"{part}_labels"} <= names]
    if not parts:
        raise BadData(
            f"the archive has no arrays train_images and train_labels; it has: {', '.join(sorted(names)[:12])}",
            where=source,
            remedy="name the arrays {train,val,test}_images and {train,val,test}_labels",
        )
    rows = pl.concat([_part(source, part, names) for part in parts], how="diagonal_relaxed")
    known = _known(source.stem, [rows.filter(pl.col("role") == _PARTS[part]).height for part in _PARTS])
    if known is not None:
        rows = rows.with_columns(
            pl.lit(known.modality).alias("modality"),
            pl.lit(known.body_part).alias("body_part"),
            _named(rows["label"], known.classes, source),
        )
    if len(parts) == 1:
        rows = rows.with_columns(role=pl.lit(None, dtype=pl.String()))
    return _draft(source, with_columns(rows), known)


def _draft(source: Path, rows: pl.DataFrame, known: KnownArchive | None) -> Draft:
    if known is None:
        return Draft(name=source.stem, root=source, rows=rows, neutral_names=True)
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
        notes=known.notes,
        neutral_names=True,
        published=tuple(
            Published(method=method, metric=metric, value=value, source=known.source)
            for method, auc, accuracy in (known.results if exact else ())
            for metric, value in (("auc", auc), ("accuracy", accuracy))
        ),
    )


def _part(source: Path, part: str, names: set[str]) -> pl.DataFrame:
    n = arrays.header_of(source, f"{part}_images").shape[0]
    columns: dict[str, Any] = {
        "sample": [f"{part}-{index:05d}" for index in range(n)],
        "path": [str(source)] * n,
        "member": [f"{part}_images"] * n,
        "frame": range(n),
        "role": [_PARTS[part]] * n,
        "label": _labels(arrays.load_member(source, f"{part}_labels"), source),
    }
    for name in sorted(names):
        column = name.removeprefix(f"{part}_")
        if name.startswith(f"{part}_") and column not in ("images", "labels"):
            values = arrays.load_member(source, name)
            if values.ndim == 1:
                columns[column] = [str(value) for value in values.tolist()]
    odd = [name for name, values in columns.items() if len(values) != n]
    if odd:
        raise BadData(f"{part} has {n} images but another number of {', '.join(odd)}", where=source)
    if "side" in columns:
        columns["side"] = [_SIDES.get(value.strip().lower()) for value in columns["side"]]
    return pl.DataFrame(columns)


def _labels(values: NDArray[Any], source: Path) -> list[str]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]  # (N,)
    if values.ndim != 1:
        raise BadData(
            f"every image has {values.shape[-1]} labels, and one task has one",
            where=source,
            remedy="keep one column of the labels, one archive per task",
        )
    if values.dtype.kind == "f" and np.array_equal(values, np.round(values)):
        values = values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise BadData("the labels are neither whole numbers nor names", where=source)
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


def _known(stem: str, counts: list[int]) -> KnownArchive | None:
    table = specs.read_toml(Path(__file__).with_name("published.toml"))
    found = table.get(re.sub(r"_\d+$", "", stem.lower()))
    if found is None:
        return None
    known = specs.parse(KnownArchive, found, where="published.toml")
    return known if known.counts is None or list(known.counts) == counts else None
