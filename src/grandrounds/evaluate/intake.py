"""Predictions that somebody else's program, or a human reader, wrote: from a bare CSV to the predictions table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.specs import digest
from grandrounds.tables import PREDICTIONS, PROB, Task

TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum; rounded to three digits they still pass
_COLUMNS = (
    f"sample, label and one {PROB}<class> for each class; patient, case, family, repeat, fold, seed, role may be there"
)
_DEFAULTS = {"family": "model", "role": "test", "recipe": "unknown", "unit": "sample"}


class Intake(NamedTuple):
    """Predictions of others, ready to be judged."""

    predictions: pl.DataFrame
    task: Task
    notes: tuple[str, ...]
    patient_known: bool


def intake(path: Path, *, positive: str | None = None, task_name: str = "label") -> Intake:
    """Return the predictions in a CSV, TSV or Parquet file, checked and completed.

    Args:
        path: The file.
        positive: The positive class where there are two; None for the last one.
        task_name: What the task is called.

    Raises:
        BadData: The file cannot be read, a column is missing, or a row cannot be; the message names the row.
    """
    frame = _read(path)
    task = _task(frame, positive, task_name, path)
    patient_known = "patient" in frame.columns
    frame = _numbers(frame, path)
    _check(frame, task, path)
    notes = tuple(_notes(frame, task))
    return Intake(tables.check(_completed(frame, task), PREDICTIONS, where=path), task, notes, patient_known)


def _read(path: Path) -> pl.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        else:
            # Types are never guessed: "001" is a name, and one "nan" must not turn numbers into text.
            frame = pl.read_csv(path, infer_schema=False, separator=separator)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadData(
            f"cannot read the predictions: {type(error).__name__}", where=path, remedy=f"wanted: a CSV with {_COLUMNS}"
        ) from None
    frame = frame.rename({name: name.strip() for name in frame.columns if name.strip() != name})
    missing = [name for name in ("sample", "label") if name not in frame.columns]
    if missing or frame.is_empty():
        what = f"the column {' and '.join(missing)} is missing" if missing else "there is no row"
        raise BadData(what, where=path, remedy=f"wanted: {_COLUMNS}")
    return frame


def _task(frame: pl.DataFrame, positive: str | None, name: str, path: Path) -> Task:
    classes = tables.classes_of(frame)
    if len(classes) < 2:
        raise BadData(f"{len(classes)} probability columns are too few", where=path, remedy=f"wanted: {_COLUMNS}")
    binary = len(classes) == 2
    if positive is not None and (positive not in classes or not binary):
        remedy = f"there are: {', '.join(classes)}" if binary else "leave it out: there are more than two classes"
        raise BadData(f"{positive!r} cannot be the positive class", where=path, remedy=remedy)
    return Task(
        name=name, kind="binary" if binary else "multiclass", classes=classes,
        positive=(positive or classes[-1]) if binary else None,
    )  # fmt: skip


def _numbers(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    wanted: dict[str, pl.DataType] = {name: pl.Float64() for name in frame.columns if name.startswith(PROB)}
    wanted |= {name: pl.Int64() for name in ("repeat", "fold", "seed") if name in frame.columns}
    for name, dtype in wanted.items():
        numbers = frame[name].cast(dtype, strict=False)
        bad = numbers.is_null() | (numbers.is_nan() if dtype.is_float() else False)
        if bad.any():
            _refuse_row(path, int(bad.arg_max() or 0), f"{name} is empty or not a number")
        frame = frame.with_columns(numbers)
    texts = [name for name, dtype in PREDICTIONS.columns.items() if name in frame.columns and dtype == pl.String()]
    return frame.with_columns(pl.col(name).cast(pl.String).str.strip_chars() for name in texts)


def _check(frame: pl.DataFrame, task: Task, path: Path) -> None:
    probs = tables.probs_of(frame)
    unlikely = ((probs < 0) | (probs > 1) | ~np.isfinite(probs)).any(axis=1)
    if unlikely.any():
        _refuse_row(path, int(unlikely.argmax()), "a probability is not between 0 and 1")
    off = np.abs(probs.sum(axis=1) - 1) > TOLERANCE
    if off.any():
        at = int(off.argmax())
        _refuse_row(path, at, f"the probabilities sum to {probs[at].sum():.4f}", "make each row sum to 1")
    for name in [name for name in ("sample", "label", "patient", "family") if name in frame.columns]:
        empty = frame[name].is_null() | (frame[name] == "")
        if empty.any():
            _refuse_row(path, int(empty.arg_max() or 0), f"{name} is empty")
    strange = ~frame["label"].is_in(task.classes)
    if strange.any():
        _refuse_row(
            path, int(strange.arg_max() or 0), "the label has no probability column",
            f"labels must be one of: {', '.join(task.classes)}",
        )  # fmt: skip
    if frame["label"].n_unique() < 2:
        raise BadData("every sample has the same label", where=path, remedy="nothing can be judged on one class alone")
    key = [name for name in ("family", "repeat", "fold", "seed", "role", "sample") if name in frame.columns]
    twice = frame.select(pl.struct(key).is_duplicated() & ~pl.struct(key).is_first_distinct()).to_series()
    if twice.any():
        _refuse_row(
            path, int(twice.arg_max() or 0), f"this {', '.join(key)} stands here before", "remove one of the rows"
        )
    if "patient" in frame.columns:
        _check_patients(frame, path)


def _check_patients(frame: pl.DataFrame, path: Path) -> None:
    owners = frame.group_by("sample").agg(pl.col("patient").n_unique().alias("n"))
    if (owners["n"] > 1).any():
        raise BadData(
            "a sample belongs to two patients", where=f"{path}: sample {owners.filter(pl.col('n') > 1)['sample'][0]}"
        )


def _refuse_row(path: Path, at: int, what: str, remedy: str | None = None) -> None:
    raise BadData(what, where=f"{path}, line {at + 2}", remedy=remedy)  # line 1 is the header


def _completed(frame: pl.DataFrame, task: Task) -> pl.DataFrame:
    absent = {name: value for name, value in _DEFAULTS.items() if name not in frame.columns}
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in absent.items())
    frame = frame.with_columns(
        pl.lit(0).alias(name) for name in ("repeat", "fold", "seed") if name not in frame.columns
    )
    frame = frame.with_columns(
        pl.col("sample").alias(name) for name in ("patient", "case") if name not in frame.columns
    )
    cell = ("family", "repeat", "fold", "seed")
    trials = [digest(list(row)) for row in frame.select(cell).iter_rows()]
    return frame.with_columns(pl.lit(task.name).alias("task"), pl.Series("trial", trials))


def _notes(frame: pl.DataFrame, task: Task) -> Iterator[str]:
    if "patient" not in frame.columns:
        yield "No patient column: every sample counts as a patient of its own, and intervals assume independent images."
    if task.positive:
        yield f"The positive class is {task.positive}."
    absent = sorted(set(task.classes) - set(frame["label"].unique()))
    if absent:
        yield f"No sample is labelled {' or '.join(absent)}: what needs that class is undefined."
