"""The tables that everything passes on: their columns, how they are checked, read and written.

Tables are the interfaces of grandrounds. On disk they are Parquet with JSON metadata inside; CSV is accepted where
people bring their own. Nothing else spells a column's type. Columns beyond the schema may come along (clinical columns
of `samples`, `prob_<class>` of `predictions`); a column of the schema that is missing and not required is filled with
nulls.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from grandrounds.errors import BadData, StoreTrouble
from grandrounds.shapes import Probs
from grandrounds.specs import Spec

Role = Literal["train", "valid", "test", "external", "calib"]
ROLES: tuple[Role, ...] = ("train", "valid", "test", "external", "calib")
PROB = "prob_"  # predictions carry one column per class: prob_<class>
_META_KEY = "grandrounds"

_text, _count, _number, _flag = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


class Task(Spec):
    """What is to be told from an image: the metadata of the labels table.

    Args:
        name: Name of the task, `"label"` where the data give none.
        kind: Binary, multiclass or ordinal; multi-label data are several binary tasks.
        classes: Class names in their order; the order of the `prob_…` columns.
        positive: The class that sensitivity and specificity speak of; None unless binary.
        condition: What is being diagnosed, in words; None where unknown.
    """

    name: str = "label"
    kind: Literal["binary", "multiclass", "ordinal"] = "multiclass"
    classes: tuple[str, ...]
    positive: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one table.

    Args:
        name: Name of the table, also its file stem.
        columns: Column name to type.
        required: Columns that must be present and never null.
        key: Columns that identify a row.
    """

    name: str
    columns: Mapping[str, pl.DataType]
    required: tuple[str, ...]
    key: tuple[str, ...]


class Table(NamedTuple):
    """A checked frame and the metadata that travel with it."""

    frame: pl.DataFrame
    meta: dict[str, Any]


SAMPLES = Schema(
    "samples",
    {
        "sample": _text,
        "case": _text,
        "patient": _text,
        "site": _text,
        "modality": _text,
        "body_part": _text,
        "side": _text,  # "left" or "right" where the data say which side was imaged
        "height_px": _count,
        "width_px": _count,
        "depth_px": _count,
        "spacing_mm": pl.List(pl.Float64()),
        "encoding": _text,  # how grey values are stored: "hu", or a type such as "uint8"
        "sha256": _text,  # of the decoded pixels with their shape and type, not of the file
        "low": _number,  # least, mean and greatest pixel value
        "mean": _number,
        "high": _number,
    },
    required=("sample", "case", "patient"),
    key=("sample",),
)
FILES = Schema(
    "files",
    {
        "sample": _text,
        "series": _text,
        "order": _count,
        "path": _text,
        "member": _text,  # array inside an archive; null for a plain file
        "frame": _count,  # index along the first axis of that array or file; null for all of it
        "box": pl.List(pl.Int64()),  # top, left, bottom, right in pixels of the `whole` output; null for all of it
    },
    required=("sample", "path"),
    key=("sample", "series", "order"),
)
LABELS = Schema(
    "labels",
    {"case": _text, "task": _text, "label": _text},
    required=("case", "task"),
    key=("case", "task"),
)
SPLITS = Schema(
    "splits",
    {"case": _text, "repeat": _count, "fold": _count, "role": _text},
    required=("case", "repeat", "fold", "role"),
    key=("case", "repeat", "fold"),
)
PREDICTIONS = Schema(
    "predictions",
    {
        "unit": _text,  # "sample" or "case"
        "sample": _text,
        "case": _text,
        "patient": _text,
        "task": _text,
        "trial": _text,
        "family": _text,
        "recipe": _text,
        "repeat": _count,
        "fold": _count,
        "seed": _count,
        "role": _text,
        "label": _text,
    },
    required=("sample", "patient", "family", "label"),
    key=("trial", "sample", "role"),
)
SCORES = Schema(
    "scores",
    {
        "family": _text,
        "task": _text,
        "metric": _text,
        "label": _text,  # the class that a per-class metric speaks of; null for the others
        "unit": _text,
        "slice": _text,
        "estimate": _number,  # null where undefined; `note` says why
        "low": _number,
        "high": _number,
        "method": _text,
        "n_patients": _count,
        "n_samples": _count,
        "note": _text,
    },
    required=("family", "metric"),
    key=("family", "task", "metric", "label", "unit", "slice"),
)
COMPARISONS = Schema(
    "comparisons",
    {
        "family_a": _text,
        "family_b": _text,
        "task": _text,
        "metric": _text,
        "unit": _text,
        "difference": _number,  # a minus b
        "low": _number,
        "high": _number,
        "p_adjusted": _number,
        "verdict": _text,  # "better", "worse", "equivalent", "undecided": a against b
    },
    required=("family_a", "family_b", "metric"),
    key=("family_a", "family_b", "task", "metric", "unit"),
)
TRIALS = Schema(
    "trials",
    {
        "trial": _text,
        "family": _text,
        "recipe": _text,
        "repeat": _count,
        "fold": _count,
        "seed": _count,
        "status": _text,  # "done", "truncated" or "failed"
        "epochs": _count,
        "best_epoch": _count,
        "fit_s": _number,
        "predict_s": _number,
        "latency_ms": _number,  # of one image
        "n_parameters": _count,
        "size_bytes": _count,
        "peak_mib": _number,  # resident memory of the process that ran the trial
        "threads": _count,
        "fitted_hash": _text,
        "note": _text,
    },
    required=("trial", "family", "status"),
    key=("trial",),
)
HISTORY = Schema(
    "history",
    {
        "trial": _text,
        "epoch": _count,
        "loss": _number,
        "valid_metric": _number,
        "learning_rate": _number,
        "images_per_s": _number,
        "time_s": _number,
    },
    required=("trial", "epoch"),
    key=("trial", "epoch"),
)
CURVES = Schema(
    "curves",
    {
        "family": _text,
        "task": _text,
        "curve": _text,  # "roc", "calibration" or "confusion"
        "label": _text,  # the class; for confusion the true class
        "x": _number,
        "y": _number,
        "low": _number,
        "high": _number,
        "predicted": _text,  # confusion only: the predicted class; y is then a mean count
    },
    required=("family", "curve"),
    key=(),
)
FINDINGS = Schema(
    "findings",
    {
        "audit": _text,  # "A001"
        "title": _text,
        "outcome": _text,  # "passed", "finding", "tip" or "not applicable"
        "sentence": _text,
        "rows": pl.List(pl.String()),  # what the finding is about, one line each
    },
    required=("audit", "title", "outcome", "sentence"),
    key=("audit",),
)
SCHEMAS: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        SAMPLES, FILES, LABELS, SPLITS, PREDICTIONS, SCORES, COMPARISONS, TRIALS, HISTORY, CURVES, FINDINGS,
    )
}  # fmt: skip


def check(frame: pl.DataFrame, schema: Schema, *, where: object = None) -> pl.DataFrame:
    """Return the frame with the schema's columns first, cast to their types.

    Raises:
        BadData: A required column is missing or has a null, a value does not fit its type, or two rows share a key.
    """
    where = where or f"table {schema.name}"
    absent = [name for name in schema.required if name not in frame.columns]
    if absent:
        raise BadData(f"the column {', '.join(absent)} is missing", where=where, remedy=f"it has {frame.columns}")
    frame = frame.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.columns.items() if name not in frame.columns
    )
    try:
        frame = frame.cast(pl.Schema(schema.columns))
    except pl.exceptions.PolarsError as error:
        raise BadData(f"a column has values of the wrong kind: {error}", where=where) from None
    extras = [name for name in frame.columns if name not in schema.columns]
    frame = frame.select(*schema.columns, *extras)
    for name in schema.required:
        if frame[name].null_count():
            raise BadData(f"the column {name} is empty in {frame[name].null_count()} rows", where=where)
    key = [name for name in schema.key if frame[name].null_count() < frame.height]
    if key and frame.select(pl.struct(key).is_duplicated().any()).item():
        twice = frame.filter(pl.struct(key).is_duplicated()).head(1).select(key).row(0)
        raise BadData(f"two rows share {', '.join(key)}: {twice}", where=where, remedy="remove one of them")
    return frame


def empty(schema: Schema) -> pl.DataFrame:
    """Return a frame of that schema without rows."""
    return pl.DataFrame(schema=dict(schema.columns))


def write(frame: pl.DataFrame, schema: Schema, path: Path, meta: Mapping[str, Any] | None = None) -> Path:
    """Write a checked table as Parquet, whole or not at all, and return the path."""
    frame = check(frame, schema, where=path)
    content = io.BytesIO()  # polars has no word of its own for a full disk; Python's file has
    frame.write_parquet(content, metadata={_META_KEY: json.dumps(dict(meta or {}))})
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())
    return path


def read(schema: Schema, path: Path) -> Table:
    """Return a table from Parquet or CSV, checked.

    Raises:
        BadData: The file is absent or does not hold such a table.
    """
    try:
        if path.suffix.lower() in (".csv", ".tsv"):
            return Table(check(_read_text(schema, path), schema, where=path), {})
        meta = json.loads(pl.read_parquet_metadata(path).get(_META_KEY, "{}"))
        return Table(check(pl.read_parquet(path), schema, where=path), meta)
    except (OSError, pl.exceptions.PolarsError, ValueError) as error:
        raise BadData(f"cannot read the {schema.name} table: {type(error).__name__}", where=path) from None


def _read_text(schema: Schema, path: Path) -> pl.DataFrame:
    # Types are never guessed: "001" is a name, and one "nan" must not turn a column of numbers into text.
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    frame = pl.read_csv(path, infer_schema=False, separator=separator, encoding="utf8")
    frame = frame.rename({name: name.strip() for name in frame.columns if name.strip() != name})
    probs: dict[str, pl.DataType] = {name: _number for name in frame.columns if name.startswith(PROB)}
    known = {name: dtype for name, dtype in schema.columns.items() if name in frame.columns and not dtype.is_nested()}
    return frame.cast(pl.Schema(probs | known))


def classes_of(predictions: pl.DataFrame) -> tuple[str, ...]:
    """Return the class names of a predictions table, in the order of its probability columns."""
    return tuple(name.removeprefix(PROB) for name in predictions.columns if name.startswith(PROB))


def patient_keys(patients: pl.Series) -> pl.Series:
    """Return what tells patients apart: their ids without regard to case, padding, control characters, Unicode form.

    Taking two patients for one never leaks; taking one patient for two may.
    """
    names: list[str] = patients.unique().to_list()
    return patients.replace_strict(names, [_plain(name) for name in names], return_dtype=pl.String)


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(sign for sign in text if sign.isspace() or not unicodedata.category(sign).startswith("C"))
    return unicodedata.normalize("NFKC", " ".join(text.split()))


def probs_of(predictions: pl.DataFrame) -> Probs:
    """Return the probabilities of a predictions table, (N, K)."""
    columns = [name for name in predictions.columns if name.startswith(PROB)]
    return predictions.select(columns).to_numpy().astype(np.float64, copy=False)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path whose file replaces `path` once it is complete and on the disk.

    Raises:
        StoreTrouble: The folder cannot be written or the disk is full; `path` is as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())  # a temporary file is private, a result is what the user's umask says
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StoreTrouble(
            f"cannot write: {error.strerror or type(error).__name__}",
            where=path,
            remedy="free some space or choose a folder that you may write; what was saved before is untouched",
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
