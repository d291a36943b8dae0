"""A file of somebody's predictions, read as text, with its columns named as ours are."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.lines import cells, named
from grandrounds.specs import Spec
from grandrounds.tables import PROB

WANTED = (
    f"sample, label and one {PROB}<class> for each class, or a rating, or a decision; patient, case, family, reader, "
    "repeat, fold, seed, role, site, task may be there"
)
NAMED = (
    "sample", "label", "patient", "case", "family", "reader", "rating", "decision", "repeat", "fold", "seed", "role",
    "site", "task",
)  # fmt: skip
LINE = "__line"  # where a row stands in its file, so that a message can say it; goes before anything is judged


class Columns(Spec):
    """What the columns of a file are called, where not as ours are, and what its ratings mean.

    Args:
        sample: Column that names the image.
        label: Column of the true class.
        patient: Column of the patient.
        case: Column of the case (exam, lesion).
        family: Column of the model, or of the way in which readers read.
        reader: Column of the human reader.
        rating: Column of a reader's rating on any ordinal scale.
        decision: Column of the class that a reader names.
        repeat: Column of the repeat of the split.
        fold: Column of the fold.
        seed: Column of the training seed.
        role: Column of the role.
        site: Column of the hospital or centre.
        task: Column of what is to be told, where that is several things.
        prob: Column of a class's probability, as class=column; given once for each class, or for one of two.
        levels: Word of a rating; given once for each, from least to most suspicious; none where ratings are numbers.
        cutoff: The least rating that calls an image positive; without one there is no sensitivity.
        positive: The class that sensitivity speaks of; by default the last of two, or the only one with a probability.
        ordered: More than two classes are grades, in the order of their columns from least to worst.
    """

    sample: str = "sample"
    label: str = "label"
    patient: str = "patient"
    case: str = "case"
    family: str = "family"
    reader: str = "reader"
    rating: str = "rating"
    decision: str = "decision"
    repeat: str = "repeat"
    fold: str = "fold"
    seed: str = "seed"
    role: str = "role"
    site: str = "site"
    task: str = "task"
    prob: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None
    cutoff: str | None = None
    positive: str | None = None
    ordered: bool = False


_ANSWERS = {"path", "predicted", "refused"}  # as `grandrounds predict` writes them


def read(paths: Sequence[Path], columns: Columns) -> list[pl.DataFrame]:
    """Return the rows of CSV, TSV or Parquet files, with our names and the line in the file.

    Raises:
        BadData: A file cannot be read, is empty, or lacks the sample or the label.
        BadSpec: A column that was named is in none of the files.
    """
    frames, called = [_opened(path) for path in paths], dict(names(columns))
    for theirs in called.values():
        if not any(theirs in frame.columns for frame in frames):
            raise BadSpec(
                f"there is no column {theirs!r}", where=paths[0], remedy=f"there are: {', '.join(frames[0].columns)}"
            )
    renamed = [_renamed(_numbered(frame), called) for frame in frames]
    for path, frame in zip(paths, renamed, strict=True):
        missing = [name for name in ("sample", "label") if name not in frame.columns]
        if missing or frame.is_empty():
            raise _without(missing, frame, path)
    return renamed


def _without(missing: list[str], frame: pl.DataFrame, path: Path) -> BadData:
    """Return the refusal of a file without these columns, or without a row."""
    if not missing:
        return BadData("there is no row", where=path, remedy=f"wanted: {WANTED}")
    if _ANSWERS.issubset(frame.columns):
        return BadData(
            "these are the answers of a model, without labels to judge them by", where=path,
            remedy="judge the model on labelled images with `grandrounds evaluate MODEL DATA`; or add a column label, "
            "and say --sample path",
        )  # fmt: skip
    what = f"the column{'s' if missing[1:] else ''} {' and '.join(missing)} {'are' if missing[1:] else 'is'} missing"
    there = ", ".join(name for name in frame.columns if name != LINE)
    flags = " ".join(f"--{name} COLUMN" for name in missing)
    return BadData(what, where=path, remedy=f"say which it is with {flags}; there are: {there}; wanted: {WANTED}")


def refuse_row(frame: pl.DataFrame, path: Path, at: int, what: str, remedy: str | None = None) -> NoReturn:
    """Raise BadData that names the line of a row."""
    raise BadData(what, where=f"{path}, line {frame[LINE][at]}", remedy=remedy)


def _opened(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() != ".parquet":
            return cells(path)
        frame = pl.read_parquet(path)
        if not tables.meta_of(path).get("patient_known", True):  # a run fills the column all the same
            frame = frame.drop("patient", strict=False)
    except FileNotFoundError:
        raise BadData(
            "there is no such file or folder", where=path, remedy="name a CSV of predictions, or a run folder"
        ) from None
    except IsADirectoryError:
        raise BadData("this is a folder, not a table", where=path, remedy="name the files in it, one by one") from None
    except (OSError, ValueError, csv.Error, pl.exceptions.PolarsError) as error:
        raise BadData(
            f"cannot read the predictions: {type(error).__name__}", where=path, remedy=f"wanted: a CSV with {WANTED}"
        ) from None
    return named(frame, frame.columns, path)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with their line in the file, without blank lines."""
    held = [
        pl.col(name).str.strip_chars() != "" if dtype == pl.String() else pl.col(name).is_not_null()
        for name, dtype in frame.schema.items()
    ]
    return frame.with_row_index(LINE, offset=2).filter(pl.any_horizontal(held))  # line 1 is the header


def names(columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield our name and theirs of every column that was named."""
    for name in NAMED:
        if getattr(columns, name) != name:
            yield name, getattr(columns, name)
    for pair in columns.prob or ():
        label, _, column = pair.partition("=")
        if not label or not column:
            raise BadSpec(f"{pair!r} is not class=column", remedy="for example: --prob malignant=score")
        yield f"{PROB}{label.strip()}", column.strip()


def _renamed(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    here = {ours: theirs for ours, theirs in names.items() if theirs in frame.columns}
    copies = [pl.col(theirs).alias(ours) for ours, theirs in here.items()]
    return frame.with_columns(copies).drop(set(here.values()) - set(here))
