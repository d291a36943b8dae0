"""The rows of somebody's file: what must be a number, and what cannot be, with the line where it stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl

from grandrounds.errors import BadData
from grandrounds.evaluate.columns import LINE, refuse_row
from grandrounds.evaluate.ratings import Scale
from grandrounds.tables import PREDICTIONS, PROB, Task
from grandrounds.unknown import known

TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum; rounded to three digits they still pass
_WHERE_UNKNOWN = {
    "label": "leave out rows whose label nobody knows",
    "patient": "give whoever is not known an id of their own, or leave the column out where nobody is",
}
RUN = ("repeat", "fold", "seed")


def numbers(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the rows with numbers where there are to be some, and names and classes as text without padding."""
    # What was read as text comes first: the cell that somebody wrote is to be named, not what was made of it.
    given = sorted(frame.select(f"^{PROB}.*$").columns, key=lambda name: frame.schema[name].is_numeric())
    wanted: dict[str, pl.DataType] = {name: pl.Float64() for name in given}
    wanted |= {name: pl.Int64() for name in RUN if name in frame.columns}
    for name, dtype in wanted.items():
        numbers = frame[name].cast(dtype, strict=False)
        bad = numbers.is_null() | (numbers.is_nan() if dtype.is_float() else False)
        if bad.any():
            _refuse_number(frame, path, name, int(bad.arg_max() or 0))
        frame = frame.with_columns(numbers)
    texts = [name for name, dtype in PREDICTIONS.columns.items() if name in frame.columns and dtype == pl.String()]
    texts += [name for name in ("reader",) if name in frame.columns]
    return frame.with_columns(pl.col(name).cast(pl.String).str.strip_chars() for name in texts)


def _refuse_number(frame: pl.DataFrame, path: Path, name: str, at: int) -> NoReturn:
    if re.fullmatch(r"\s*-?\d*,\d+\s*", str(frame[name][at])):
        refuse_row(frame, path, at, f"{name} is written with a decimal comma", "write a point: 0.5")
    refuse_row(frame, path, at, f"{name} is empty or not a number")


def check(frame: pl.DataFrame, task: Task, path: Path) -> None:
    """Raise BadData at the first row that cannot be, or that stands in its file before."""
    probs = frame.select(f"{PROB}{name}" for name in task.classes).to_numpy()
    unlikely = ((probs < 0) | (probs > 1) | ~np.isfinite(probs)).any(axis=1)
    if unlikely.any():
        refuse_row(frame, path, int(unlikely.argmax()), "a probability is not between 0 and 1")
    off = np.abs(probs.sum(axis=1) - 1) > TOLERANCE
    if off.any():
        at = int(off.argmax())
        refuse_row(frame, path, at, f"the probabilities sum to {probs[at].sum():.4f}", "make each row sum to 1")
    for name in [name for name in ("sample", "label", "patient", "family") if name in frame.columns]:
        empty = frame[name].is_null() | (frame[name] == "")
        if empty.any():
            refuse_row(frame, path, int(empty.arg_max() or 0), f"{name} is empty", _WHERE_UNKNOWN.get(name))
    _refuse_nobody(frame, path)
    strange = ~frame["label"].is_in(task.classes)
    if strange.any():
        refuse_row(
            frame, path, int(strange.arg_max() or 0), "the label has no probability column",
            f"labels must be one of: {', '.join(task.classes)}",
        )  # fmt: skip
    key = [name for name in ("family", *RUN, "role", "sample") if name in frame.columns]
    twice = frame.select(pl.struct(key).is_duplicated() & ~pl.struct(key).is_first_distinct()).to_series()
    if twice.any():
        refuse_row(
            frame,
            path,
            int(twice.arg_max() or 0),
            f"this {', '.join(key)} stands here before",
            "remove one of the rows",
        )
    if "patient" in frame.columns:
        check_patients(frame, path)


def _refuse_nobody(frame: pl.DataFrame, path: Path) -> None:
    """Raise BadData where a word such as NA stands for the patient: all who are called so would be one person."""
    if "patient" in frame.columns:
        nobody = frame.select(known(pl.col("patient")).is_null()).to_series()
        if nobody.any():
            at = int(nobody.arg_max() or 0)
            refuse_row(frame, path, at, f"{frame['patient'][at]!r} is no patient", _WHERE_UNKNOWN["patient"])


def check_patients(frame: pl.DataFrame, path: Path) -> None:
    """Raise BadData where a sample belongs to two patients."""
    owners = frame.group_by("sample").agg(pl.col("patient").n_unique().alias("n"))
    if (owners["n"] > 1).any():
        raise BadData(
            "a sample belongs to two patients",
            where=f"{path}: sample {owners.filter(pl.col('n') > 1)['sample'][0]}",
            remedy="mend the column of patients, or give the sample of each a name of its own",
        )


def check_families(parts: Sequence[tuple[pl.DataFrame, Scale]], paths: Sequence[Path]) -> None:
    """Raise BadData where two files hold the same family."""
    first: dict[str, Path] = {}
    for (part, _), path in zip(parts, paths, strict=True):
        for family in part["family"].unique(maintain_order=True):
            if first.setdefault(family, path) is not path:
                raise BadData(
                    f"the family {family!r} stands in two files", where=f"{first[family]} and {path}",
                    remedy="give them different names in a column `family`, or different file names",
                )  # fmt: skip


def check_labels(parts: Sequence[tuple[pl.DataFrame, Scale]], paths: Sequence[Path]) -> None:
    """Raise BadData where a sample has two labels, in whatever files and folds, with both places."""
    places = [pl.format("{}, line {}", pl.lit(str(path)), LINE) for path in paths]
    said = pl.concat(
        part.select("sample", "label", place=place) for (part, _), place in zip(parts, places, strict=True)
    )
    said = said.with_columns(pl.col("label", "place").first().over("sample").name.prefix("first_"))
    other = said.filter(pl.col("label") != pl.col("first_label")).head(1)
    for sample, place, first in other.select("sample", "place", "first_place").iter_rows():
        raise BadData(
            f"the sample {sample!r} has two labels", where=f"{first} and {place}",
            remedy="a sample has one true class, whoever reads it and in whatever fold: mend one of them",
        )  # fmt: skip
