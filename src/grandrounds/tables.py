"""The tables that everything passes on: their columns, how they are checked, read and written.

Tables are the interfaces of grandrounds. On disk they are Parquet with JSON metadata inside; CSV is accepted where
people bring their own. Nothing else spells a column's type. Columns beyond the schema may come along (clinical columns
of `samples`, `prob_<class>` of `predictions`); a column of the schema that is missing and not required is filled with
nulls.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from grandrounds.errors import BadData, StoreTrouble
from grandrounds.schemas import (
    COMPARISONS,
    COPIES,
    CURVES,
    DECISIONS,
    EXTERNAL,
    FILES,
    FINDINGS,
    HISTORY,
    INTERVALS,
    LABELS,
    MASKS,
    PREDICTIONS,
    READERS,
    SAMPLES,
    SCHEMAS,
    SCORES,
    SPLITS,
    SUSPECTS,
    TRIALS,
    Schema,
)
from grandrounds.shapes import Probs
from grandrounds.specs import Spec

__all__ = [
    "CALIB_PATIENTS",
    "COMPARISONS",
    "COPIES",
    "CURVES",
    "DECISIONS",
    "EXTERNAL",
    "FILES",
    "FINDINGS",
    "HISTORY",
    "IMAGES",
    "INTERVALS",
    "LABELS",
    "MASKS",
    "OF_COLUMNS",
    "PREDICTIONS",
    "PROB",
    "READERS",
    "ROLES",
    "SAMPLES",
    "SCHEMAS",
    "SCORES",
    "SPLITS",
    "SUSPECTS",
    "TRIALS",
    "UNREADABLE",
    "Role",
    "Schema",
    "Table",
    "Task",
    "Unit",
    "atomic",
    "check",
    "classes_of",
    "empty",
    "meta_of",
    "numbered",
    "patient_hashes",
    "patient_keys",
    "patient_numbers",
    "probs_of",
    "read",
    "straddling",
    "sync",
    "write",
]

Role = Literal["train", "valid", "test", "external", "calib"]
Unit = Literal["sample", "case", "patient"]  # what one prediction is of
CALIB_PATIENTS = 50  # in the role calib; where it has fewer, calibrators are cross-fitted on valid
ROLES: tuple[Role, ...] = ("train", "valid", "test", "external", "calib")
PROB = "prob_"  # predictions carry one column per class: prob_<class>
IMAGES = "images"  # what the series of an exam is called where it has one alone, which nobody named
OF_COLUMNS = "columns"  # what the clinical columns are called beside the series
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)  # what NumPy says of a damaged archive
_META_KEY = "grandrounds"
_WHOLE = re.compile(r"0*([0-9]+)(?:\.0+)?")
_SIDE = re.compile(r"(?<![a-z])(left|right|lt|rt)(?![a-z])", re.IGNORECASE)


TaskKind = Literal["binary", "multiclass", "ordinal"]


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
    kind: TaskKind = "multiclass"
    classes: tuple[str, ...]
    positive: str | None = None
    condition: str | None = None

    @property
    def names_side(self) -> bool:
        """Whether a class says left or right, so that a mirrored image would have another label.

        >>> Task(classes=("left kidney", "spleen")).names_side, Task(classes=("bright", "dark")).names_side
        (True, False)
        """
        return any(_SIDE.search(label) for label in self.classes) or {one.lower() for one in self.classes} == {"l", "r"}


class Table(NamedTuple):
    """A checked frame and the metadata that travel with it."""

    frame: pl.DataFrame
    meta: dict[str, Any]


def check(frame: pl.DataFrame, schema: Schema, *, where: object = None) -> pl.DataFrame:
    """Return the frame with the schema's columns first, cast to their types.

    Raises:
        BadData: A required column is missing or has a null, a value does not fit its type, or two rows share a key.
    """
    where = where or f"table {schema.name}"
    absent = [name for name in schema.required if name not in frame.columns]
    if absent:
        raise BadData(
            f"the column {', '.join(absent)} is missing", where=where, remedy=f"its columns: {', '.join(frame.columns)}"
        )
    frame = frame.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in schema.columns.items() if name not in frame.columns
    )
    try:
        frame = frame.cast(pl.Schema(schema.columns))
    except pl.exceptions.PolarsError as error:
        raise BadData(
            f"a column has values of the wrong kind: {error}",
            where=where,
            remedy="mend the column, or write the table anew",
        ) from None
    extras = [name for name in frame.columns if name not in schema.columns]
    frame = frame.select(*schema.columns, *extras)
    for name in schema.required:
        if frame[name].null_count():
            raise BadData(
                f"the column {name} is empty in {frame[name].null_count()} rows",
                where=where,
                remedy="fill it in, or leave these rows out",
            )
    key = [name for name in schema.key if frame[name].null_count() < frame.height]
    if key and (twice := _first_twice(frame.select(key))) is not None:
        raise BadData(f"two rows share {', '.join(key)}: {twice}", where=where, remedy="remove one of them")
    return frame


def _first_twice(keys: pl.DataFrame) -> tuple[Any, ...] | None:
    """Return the first row that occurs again; None where all differ."""
    # Equal rows have equal hashes, which take a tenth of the memory: rows are compared only where hashes are equal.
    if keys.hash_rows().n_unique() == keys.height:
        return None
    twice = keys.filter(keys.is_duplicated()).head(1)
    return None if twice.is_empty() else twice.row(0)


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
        return Table(check(pl.read_parquet(path), schema, where=path), meta_of(path))
    except (OSError, pl.exceptions.PolarsError, ValueError) as error:
        raise BadData(
            f"cannot read the {schema.name} table: {type(error).__name__}",
            where=path,
            remedy="write it anew: the file is damaged, or holds something else",
        ) from None


def meta_of(path: Path) -> dict[str, Any]:
    """Return the metadata inside a Parquet file; none where another program wrote it."""
    found: dict[str, Any] = json.loads(pl.read_parquet_metadata(path).get(_META_KEY, "{}"))
    return found


def _read_text(schema: Schema, path: Path) -> pl.DataFrame:
    # Types are never guessed: "001" is a name, and one "nan" must not turn a column of numbers into text.
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    frame = pl.read_csv(path, infer_schema=False, separator=separator, encoding="utf8")
    frame = frame.rename({name: name.strip() for name in frame.columns if name.strip() != name})
    probs: dict[str, pl.DataType] = {name: pl.Float64() for name in frame.columns if name.startswith(PROB)}
    known = {name: dtype for name, dtype in schema.columns.items() if name in frame.columns and not dtype.is_nested()}
    return frame.cast(pl.Schema(probs | known))


def classes_of(predictions: pl.DataFrame) -> tuple[str, ...]:
    """Return the class names of a predictions table, in the order of its probability columns."""
    return tuple(name.removeprefix(PROB) for name in predictions.columns if name.startswith(PROB))


def patient_keys(patients: pl.Series) -> pl.Series:
    """Return what tells patients apart: their ids without regard to case, padding, control characters, Unicode form.

    Of ids that are numbers leading zeros do not count either, nor the `.0` that a spreadsheet or a column with gaps
    adds. Taking two patients for one never leaks; taking one patient for two may.

    >>> patient_keys(pl.Series(["007", "7", "7.0", " Kim ", "KIM", "7a"])).to_list()
    ['7', '7', '7', 'kim', 'kim', '7a']
    """
    names: list[str] = patients.unique().to_list()
    return patients.replace_strict(names, [_plain(name) for name in names], return_dtype=pl.String)


def numbered(names: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the names that occur, sorted, and the place of each row's among them: a quarter of the memory of text.

    >>> known, places = numbered(pl.Series(["b", "a", "b"]))
    >>> known.to_list(), places.to_list()
    (['a', 'b'], [1, 0, 1])
    """
    known = names.unique().sort()
    places = pl.int_range(len(known), dtype=pl.UInt32(), eager=True)
    return known, names.replace_strict(known, places, return_dtype=pl.UInt32())


def patient_numbers(patients: pl.Series) -> pl.Series:
    """Return a number a row, the same for one patient, in the order of what tells patients apart."""
    spelt = patients.unique()
    _, places = numbered(patient_keys(spelt))
    return patients.replace_strict(spelt, places, return_dtype=pl.UInt32())


def straddling(placed: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of patients who stand in two roles of one fold.

    Args:
        placed: With the columns `repeat, fold, role`, and `who` as `patient_numbers` gives it.
    """
    who = ["repeat", "fold", "who"]
    _, role = numbered(placed["role"])
    several = (
        placed.select(who).with_columns(role=role).group_by(who)
        .agg(first=pl.col("role").min(), last=pl.col("role").max()).filter(pl.col("first") != pl.col("last"))
    )  # fmt: skip
    return placed.clear() if several.is_empty() else placed.join(several, on=who, how="semi", nulls_equal=True)


def patient_hashes(patients: pl.Series) -> pl.Series:
    """Return one hash a row: alike for one patient, and naming nobody; what a fitted model keeps of whom it saw."""
    keys = patient_keys(patients)
    names: list[str] = keys.unique().to_list()
    hashes = [hashlib.blake2b(name.encode(), digest_size=8).hexdigest() for name in names]
    return keys.replace_strict(names, hashes, return_dtype=pl.String)


def _plain(name: str) -> str:
    text = _unpadded(name)
    number = _WHOLE.fullmatch(text)
    return number[1] if number else text


def _unpadded(name: str) -> str:
    if name.isascii() and name.isprintable():  # as nearly all are; the rest takes ten times as long
        return " ".join(name.lower().split())
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(sign for sign in text if sign.isspace() or not unicodedata.category(sign).startswith("C"))
    return unicodedata.normalize("NFKC", " ".join(text.split()))


def shows_something() -> pl.Expr:
    """Return whether a row of `samples` has two different values among its pixels; true where nobody measured.

    Blank images are identical whoever is meant: that they are says nothing of patients, labels or roles.
    """
    return (pl.col("low") < pl.col("high")).fill_null(value=True)


def probs_of(predictions: pl.DataFrame) -> Probs:
    """Return the probabilities of a predictions table, (N, K)."""
    columns = [name for name in predictions.columns if name.startswith(PROB)]
    return predictions.select(columns).to_numpy().astype(np.float64, copy=False)


@contextlib.contextmanager
def atomic(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path whose file replaces `path` once it is complete and on the disk.

    Args:
        path: The file.
        private: Whether its owner alone may read it; else as the user's umask says.

    Raises:
        StoreTrouble: The folder cannot be written or the disk is full; `path` is as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        if not private:
            temporary.chmod(0o666 & ~_umask())  # a temporary file is for its owner alone
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
