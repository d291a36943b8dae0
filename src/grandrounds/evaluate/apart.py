"""Files that hold several tasks, taken apart: the rows of each task, with the columns that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from grandrounds.errors import BadData
from grandrounds.evaluate.catalogue import ALL_TASKS
from grandrounds.evaluate.columns import LINE, refuse_row
from grandrounds.tables import Task

File = tuple[Path, pl.DataFrame]
_KEPT = ("sample", "label", LINE)


def apart(paths: Sequence[Path], frames: Sequence[pl.DataFrame]) -> dict[str, list[File]]:
    """Return for each task, in the order in which they appear, its rows in each file that has some.

    A column that a task leaves empty throughout is not one of its columns: probabilities of another task's classes.

    Raises:
        BadData: Some files name a task and others do not, or a row names none.
    """
    if not any("task" in frame.columns for frame in frames):
        return {Task.model_fields["name"].default: list(zip(paths, frames, strict=True))}
    found: dict[str, list[File]] = {}
    for path, frame in zip(paths, frames, strict=True):
        for name, part in _parts(path, frame):
            found.setdefault(name, []).append((path, part))
    if ALL_TASKS in found:
        raise BadData(f"no task can be called {ALL_TASKS!r}", remedy="that is what the mean over them is called")
    if len(found) == 1:
        return found
    return {name: [(path, _filled(part)) for path, part in files] for name, files in found.items()}


def _parts(path: Path, frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    if "task" not in frame.columns:
        raise BadData("the column task is missing", where=path, remedy="name the task in every file, or in none")
    frame = frame.with_columns(pl.col("task").cast(pl.String).str.strip_chars())
    empty = frame["task"].is_null() | (frame["task"] == "")
    if empty.any():
        refuse_row(frame, path, int(empty.arg_max() or 0), "task is empty", "say in each row what was to be told")
    parts = frame.partition_by("task", maintain_order=True)
    return [(str(part["task"][0]), part) for part in parts]


def _filled(part: pl.DataFrame) -> pl.DataFrame:
    blank = [name for name in part.columns if name not in _KEPT and _is_blank(part[name])]
    return part.drop(blank)


def _is_blank(column: pl.Series) -> bool:
    if column.dtype == pl.String():
        column = column.str.strip_chars()
        return bool((column.is_null() | (column == "")).all())
    return bool((column.is_null() | column.is_nan()).all()) if column.dtype.is_float() else column.is_null().all()
