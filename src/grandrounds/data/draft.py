"""What a source says about a labelled set before anybody has looked at the pixels.

A source is a function that makes a `Draft`; `manifest.scan` reads every image that the draft names and turns it into a
`Dataset`. A new layout on disk therefore needs one function and no knowledge of hashing, sizes or bad files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from grandrounds.data.dataset import Published
from grandrounds.tables import FILES, SAMPLES, Role

TaskKind = Literal["binary", "multiclass", "ordinal"]
Progress = Callable[[int, int], None]  # called with (images read, images in all)

# Every draft has these columns; null where a source knows nothing. Further columns come along as clinical columns.
COLUMNS: Mapping[str, pl.DataType] = {
    "sample": pl.String(),
    "case": pl.String(),
    "patient": pl.String(),
    "site": pl.String(),
    "side": pl.String(),
    "series_kind": pl.String(),
    "modality": pl.String(),
    "body_part": pl.String(),
    "label": pl.String(),
    "role": pl.String(),
    "path": pl.String(),
    "member": pl.String(),
    "frame": pl.Int64(),
    "box": pl.List(pl.Int64()),
    "series": pl.String(),
    "order": pl.Int64(),
}

_ROLE_NAMES: Mapping[Role, tuple[str, ...]] = {
    "train": ("train", "training", "tr"),
    "valid": ("valid", "val", "validation", "dev", "tuning"),
    "test": ("test", "testing", "ts"),
    "external": ("external",),
    "calib": ("calib", "calibration"),
}

COLUMN_OPTIONS = ("image", "label", "patient", "case", "site", "side", "role")  # options that name a table's column


@dataclass(frozen=True)
class Draft:
    """Rows and facts that a source knows without opening the images.

    Args:
        name: Short name of the set.
        root: The file or folder that was opened.
        rows: One row per sample; the columns of `COLUMNS` (absent ones are filled with nulls) and clinical ones. A null
            `case` means the sample is a case of its own, a null `patient` that nobody said whose image it is, a null
            `label` that nobody knows it; such cases stay in the tables and enter no split.
        task: Name of the task.
        task_kind: None to tell from the classes: two are binary, more are multiclass.
        classes: Class names in order; None for the labels that occur, sorted (as numbers where all are whole numbers).
        positive: The class that sensitivity speaks of; None to take the last of two.
        condition: What is being diagnosed, in words.
        patient_known: Whether the source vouches for `patient`; None to find out: from the rows, else DICOM headers.
        simulated: Whether the images are computed and show nobody.
        flips: Whether mirroring left and right keeps label and anatomy plausible.
        licence: Licence of the images; None where unknown.
        notes: What a reader of a report should be told about the source.
        published: Results of others on the same set.
        grey_range: What is black and what is white in every image: a fact of the source, nothing measured; None where
            the encoding tells.
        files: Table `files` of the samples that are made of several files; None where each is one file or frame. The
            `path` of such a sample in `rows` is one of its files.
        before: Rows of the flow for what went out before any image was read; see `flow`.
        unmatched: A file of each series that no row of a table of labels speaks of.
        neutral_names: Whether names of samples and cases are places in an archive, which say nothing of a person.
        volumes: Whether every sample is a volume, be it of one slice.
        refused: Columns `path, member, frame, reason`: rows that could not even be drafted (no label, no such file).
    """

    name: str
    root: Path
    rows: pl.DataFrame
    task: str = "label"
    task_kind: TaskKind | None = None
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    condition: str | None = None
    patient_known: bool | None = None
    simulated: bool = False
    flips: bool = False
    licence: str | None = None
    notes: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    refused: pl.DataFrame | None = None
    grey_range: tuple[float, float] | None = None
    neutral_names: bool = False
    files: pl.DataFrame | None = None
    before: tuple[Mapping[str, Any], ...] = ()
    unmatched: tuple[str, ...] = ()
    volumes: bool = False


def with_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with every column of `COLUMNS`, cast, absent ones filled with nulls."""
    absent = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in COLUMNS.items() if name not in rows.columns]
    extras = [name for name in rows.columns if name not in COLUMNS]
    return rows.with_columns(absent).cast(pl.Schema(COLUMNS)).select(*COLUMNS, *extras)


def free_name(name: str) -> str:
    """Return a name for a clinical column that no table of ours uses.

    >>> free_name("packyears"), free_name("order")
    ('packyears', 'order_given')
    """
    return f"{name}_given" if name in {*COLUMNS, *SAMPLES.columns, *FILES.columns} else name


def official_role(name: str) -> Role | None:
    """Return the role that a folder or table calls by any of its usual names; None where it is none.

    >>> official_role("Validation"), official_role("benign")
    ('valid', None)
    """
    return next((role for role, names in _ROLE_NAMES.items() if name.strip().lower() in names), None)


def refusals(rows: Sequence[tuple[str, str | None, int | None, str]]) -> pl.DataFrame:
    """Return (path, member, frame, reason) rows as the table of what could not be used."""
    schema = {"path": pl.String(), "member": pl.String(), "frame": pl.Int64(), "reason": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")
