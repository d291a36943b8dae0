"""Predictions that somebody else's program, or a human reader, wrote: from bare files to the predictions table.

Each file holds probabilities, ratings or decisions. Several files are families of one study: the same samples, read by
different programs and people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate import roles, rows, single
from grandrounds.evaluate.apart import File, apart
from grandrounds.evaluate.columns import LINE, Columns, names, read
from grandrounds.evaluate.ratings import Scale, from_decisions, from_ratings, scale_of
from grandrounds.evaluate.rows import RUN
from grandrounds.evaluate.single import completed
from grandrounds.specs import digest
from grandrounds.tables import PREDICTIONS, PROB, Task

READERS = "readers"  # what readers' way of reading is called where nobody names it
_DEFAULTS = {"role": "test", "recipe": "unknown", "unit": "sample"}


@dataclass(frozen=True, slots=True)
class Intake:
    """Predictions of others, ready to be judged.

    Args:
        predictions: Table `predictions`, with any other column that came along.
        task: What was to be told.
        notes: What was filled in.
        patient_known: Whether the files name patients.
        scales: Family to the scale on which it speaks.
        readers: Family of a human reader to the way of reading (with a model, without) and the reader.
    """

    predictions: pl.DataFrame
    task: Task
    notes: tuple[str, ...]
    patient_known: bool
    scales: Mapping[str, Scale] = field(default_factory=lambda: MappingProxyType({}))
    readers: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))


def intake(paths: Path | Sequence[Path], columns: Columns | None = None, *, positive: str | None = None) -> Intake:
    """Return the predictions of one task in one or more files; see `intakes`.

    Raises:
        BadData: A file cannot be read, a column is missing, a row cannot be, or there are several tasks.
        BadSpec: A column, class or cutoff that was named is not there.
    """
    found = intakes(paths, columns, positive=positive)
    if len(found) > 1:
        names = ", ".join(one.task.name for one in found)
        raise BadData(f"there are {len(found)} tasks: {names}", remedy="take them all, with `intakes`")
    return found[0]


def intakes(
    paths: Path | Sequence[Path], columns: Columns | None = None, *, positive: str | None = None
) -> tuple[Intake, ...]:  # fmt: skip
    """Return the predictions in one or more CSV, TSV or Parquet files, checked and completed, for each task.

    Args:
        paths: The files.
        columns: What their columns are called; None for our own names.
        positive: The positive class of the tasks with two classes that have it; None for that of `columns`, or the
            one whose probability alone was given, or the last one of each.

    Raises:
        BadData: A file cannot be read, a column is missing, or a row cannot be; the message names the row, and the
            task where there are several.
        BadSpec: A column, class or cutoff that was named is not there.
    """
    paths, columns = [paths] if isinstance(paths, Path) else list(paths), columns or Columns()
    columns = columns.replaced(positive=positive or columns.positive)
    whole = [completed(frame, columns.positive) for frame in read(paths, columns)]
    said = tuple(dict.fromkeys(sentence for one in whole for sentence in one.said))
    tasks = apart(paths, [one.frame for one in whole])
    alone = all(len(files) == 1 for files in tasks.values())
    if len(tasks) == 1:
        [(name, files)] = tasks.items()
        return (_taken(name, files, columns, said, alone=alone, several=False),)
    found = tuple(_named_taken(name, files, columns, said, alone=alone) for name, files in tasks.items())
    if columns.positive not in {None, *(one.task.positive for one in found)}:
        raise BadData(f"{columns.positive!r} is in no task of two classes", where=paths[0], remedy="leave it out")
    rows.check_patients(pl.concat([one.predictions.select("sample", "patient") for one in found]), paths[0])
    return found


def _named_taken(name: str, files: Sequence[File], columns: Columns, said: Sequence[str], *, alone: bool) -> Intake:
    """Return the predictions of one of several tasks; a refusal names it."""
    try:
        return _taken(name, files, columns, said, alone=alone, several=True)
    except (BadData, BadSpec) as error:
        where = ", ".join(part for part in (error.where, f"task {name}") if part)
        raise type(error)(error.what, where=where, remedy=error.remedy) from None


def _taken(
    name: str, files: Sequence[File], columns: Columns, said: Sequence[str], *, alone: bool, several: bool
) -> Intake:  # fmt: skip
    """Return the predictions of one task.

    Args:
        name: Of the task.
        files: Its rows in each file that has some.
        columns: What is known of them.
        said: How the columns of whole files were read.
        alone: Whether a family without a name is called `model` rather than after its file.
        several: Whether there are other tasks: then a rare finding that nobody has is no reason to refuse them all.
    """
    paths, each = [path for path, _ in files], [completed(frame, columns.positive) for _, frame in files]
    frames = [one.frame for one in each]
    task = _task(frames, columns, name, paths[0], several=several)
    if columns.ordered and task.kind == "multiclass":
        task = task.replaced(kind="ordinal")
    known = _patients_known(frames)
    parts = [_part(path, frame, task, columns, alone=alone) for path, frame in zip(paths, frames, strict=True)]
    rows.check_families(parts, paths)
    rows.check_labels(parts, paths)
    labels = pl.concat([part.select("label") for part, _ in parts])
    if not several and any(part["label"].n_unique() < 2 for part, _ in parts):
        raise BadData(
            "every sample has the same label", where=paths[0], remedy="nothing can be judged on one class alone"
        )
    scales = {family: scale for part, scale in parts for family in part["family"].unique(maintain_order=True)}
    predictions = _completed(pl.concat(_aligned([part.drop(LINE) for part, _ in parts]), how="diagonal"), task)
    rows.check_patients(predictions, paths[0])
    checked = tables.check(predictions, PREDICTIONS, where=paths[0])
    notes = (
        *_notes(labels, task, patient_known=known),
        *dict.fromkeys((*said, *(sentence for one in each for sentence in one.said))),
        *_one_patient(checked),
        *roles.respelt(frames),
        *roles.left_out(checked),
    )
    return Intake(checked, task, notes, known, scales=scales, readers=dict(_readers(predictions)))


def _patients_known(frames: Sequence[pl.DataFrame]) -> bool:
    """Return whether one file or another names the patient of each sample."""
    owned = {name for frame in frames if "patient" in frame.columns for name in frame["sample"]}
    return all(owned.issuperset(frame["sample"]) for frame in frames)


def _task(
    frames: Sequence[pl.DataFrame], columns: Columns, name: str, path: Path, *, several: bool
) -> Task:  # fmt: skip
    positive = columns.positive
    classes = next((found for frame in frames if (found := tables.classes_of(frame))), ())
    if not classes:
        if not any(column in frame.columns for frame in frames for column in ("rating", "decision")):
            single.refuse(frames[0], path, dict(names(columns)))
        classes = tuple(sorted({str(word).strip() for frame in frames for word in frame["label"].drop_nulls()}))
    if len(classes) < 2:
        single.refuse(frames[0], path, dict(names(columns)))
    binary = len(classes) == 2
    if several and (positive not in classes or not binary):
        positive = None  # it speaks of another task
    if positive is not None and (positive not in classes or not binary):
        remedy = f"there are: {', '.join(classes)}" if binary else "leave it out: there are more than two classes"
        raise BadData(f"{positive!r} cannot be the positive class", where=path, remedy=remedy)
    return Task(
        name=name, kind="binary" if binary else "multiclass", classes=classes,
        positive=(positive or classes[-1]) if binary else None,
    )  # fmt: skip


def _part(path: Path, frame: pl.DataFrame, task: Task, columns: Columns, *, alone: bool) -> tuple[pl.DataFrame, Scale]:
    """Return the checked rows of one file with a family and their line each, and their scale."""
    scale = scale_of(frame, columns)
    frame = roles.understood(rows.numbers(frame, path), path)
    if scale == "decision":
        frame = from_decisions(frame, task, path)
    elif scale != "probability":
        frame = from_ratings(frame, task, columns, path)
    absent = [name for name in task.classes if f"{PROB}{name}" not in frame.columns]
    if absent:
        raise BadData(f"the column {PROB}{absent[0]} is missing", where=path, remedy="give all files the same classes")
    frame = _named(frame, path, human=scale != "probability", alone=alone)
    rows.check(frame, task, path)
    return frame, scale


def _named(frame: pl.DataFrame, path: Path, *, human: bool, alone: bool) -> pl.DataFrame:
    """Return the rows with columns `family`, and for readers `arm` (their way of reading) and `reader`."""
    if human and "reader" not in frame.columns:
        frame = frame.rename({"family": "reader"}) if "family" in frame.columns else frame
        frame = frame if "reader" in frame.columns else frame.with_columns(reader=pl.lit(path.stem))
    if "reader" not in frame.columns:
        given = "family" in frame.columns
        return frame if given else frame.with_columns(family=pl.lit("model" if alone else path.stem))
    arm = pl.col("family") if "family" in frame.columns else pl.lit(READERS)
    frame = frame.with_columns(arm=arm)
    several = frame["arm"].n_unique() > 1 or frame["arm"][0] != READERS
    name = pl.format("{} ({})", "reader", "arm") if several else pl.col("reader")
    # A row without a reader is a model's: one table may hold both.
    theirs = pl.col("reader").is_not_null() & (pl.col("reader") != "")
    model = pl.col("arm") if "family" in frame.columns else pl.lit("model" if alone else path.stem)
    return frame.with_columns(
        family=pl.when(theirs).then(name).otherwise(model),
        arm=pl.when(theirs).then("arm"), reader=pl.when(theirs).then("reader"),
    )  # fmt: skip


def _aligned(parts: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the parts, those without folds spread over the folds and seeds in which others predicted their samples.

    A reader has no folds. To be paired with a model, its row of a sample stands in every run that tested the sample.
    """
    divided = [part for part in parts if any(name in part.columns for name in RUN)]
    tested = [_filled(part).filter(pl.col("role") == "test" if "role" in part.columns else True) for part in divided]
    runs = pl.concat([part.select("sample", *RUN) for part in tested]).unique(maintain_order=True) if tested else None
    for part in parts:
        if runs is None or any(part is one for one in divided):
            yield _filled(part)
        else:
            yield _filled(part.join(runs, on="sample", how="left", maintain_order="left"))


def _filled(part: pl.DataFrame) -> pl.DataFrame:
    part = part.with_columns(pl.lit(0).alias(name) for name in RUN if name not in part.columns)
    return part.with_columns(pl.col(RUN).fill_null(0))


def _completed(frame: pl.DataFrame, task: Task) -> pl.DataFrame:
    absent = {name: value for name, value in _DEFAULTS.items() if name not in frame.columns}
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in absent.items())
    lacking = [name for name in ("patient", "case") if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, dtype=pl.String()).alias(name) for name in lacking)
    frame = frame.with_columns(pl.coalesce("role", pl.lit("test")), pl.coalesce("case", "sample"))
    frame = _with_patients(frame)
    runs = frame.select("family", *RUN).unique(maintain_order=True)
    runs = runs.with_columns(pl.Series("trial", [digest(list(row)) for row in runs.iter_rows()]))
    frame = frame.drop("trial", strict=False).join(runs, on=["family", *RUN], how="left", maintain_order="left")
    return frame.with_columns(pl.lit(task.name).alias("task"))


def _with_patients(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the patient that another file names for the same sample, or else the case."""
    named = frame.select("sample", "patient").drop_nulls().unique("sample", keep="first", maintain_order=True)
    other = frame.join(named, on="sample", how="left", maintain_order="left")["patient_right"]
    return frame.with_columns(patient=pl.coalesce("patient", other, "case"))


def _readers(predictions: pl.DataFrame) -> Iterator[tuple[str, tuple[str, str]]]:
    if "arm" in predictions.columns:
        named = predictions.filter(pl.col("reader").is_not_null()).select("family", "arm", "reader")
        for family, arm, reader in named.unique(maintain_order=True).iter_rows():
            yield family, (arm, reader)


def _notes(frame: pl.DataFrame, task: Task, *, patient_known: bool) -> Iterator[str]:
    if not patient_known:
        yield "No patient column: every case counts as a patient of its own, and intervals assume independent cases."
    if task.positive:
        yield f"The positive class is {task.positive}."
    absent = sorted(set(task.classes) - set(frame["label"].unique()))
    if absent:
        yield f"No sample is labelled {' or '.join(absent)}: what needs that class is undefined."


def _one_patient(frame: pl.DataFrame) -> Iterator[str]:
    """Yield how many patients are spelt in several ways, where some are."""
    spelt = frame["patient"].unique()
    n = len(spelt) - tables.patient_keys(spelt).n_unique()
    if n:
        ids = "1 patient id differs" if n == 1 else f"{n:,} patient ids differ"
        yield f"{ids} from another only in case, spaces, leading zeros or so: both are taken for the same patient."
