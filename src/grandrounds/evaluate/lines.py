"""A CSV as somebody's program wrote it: its cells as text under the names of its header, or what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from grandrounds.csv_faults import refuse_too_long, refuse_undecoded
from grandrounds.errors import BadData
from grandrounds.tables import PROB

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright strokes"}
_RESAVE = "in Python: polars.read_csv({!r}, separator={!r}, infer_schema=False){}.write_csv('new.csv')"
_POINTS = ".with_columns(polars.col('^prob_.*$').str.replace(',', '.'))"


def cells(path: Path) -> pl.DataFrame:
    """Return the cells of a CSV or TSV as text.

    Raises:
        BadData: The file is not UTF-8, is divided by other signs, has a row that is too long, or a column twice.
        OSError: There is no such file.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        names = _header(path, separator)
        _refuse_other_separator(names, path)
        # Types are never guessed: "001" is a name, and one "nan" must not turn numbers into text.
        frame = pl.read_csv(path, infer_schema=False, separator=separator)
    except (UnicodeDecodeError, csv.Error, pl.exceptions.PolarsError):
        refuse_undecoded(path)
        refuse_too_long(path, separator)
        raise
    if len(names) != frame.width:
        raise BadData(
            "the header cannot be read", where=path, remedy="write the names of the columns in the first line"
        )
    return named(frame, names, path)


def named(frame: pl.DataFrame, names: Sequence[str], path: Path) -> pl.DataFrame:
    """Return the columns under these names without padding, and without a column that has no name.

    Raises:
        BadData: Two columns have the same name.
    """
    tidy = [_tidy(name) for name in names]
    twice = [name for at, name in enumerate(tidy) if name and name in tidy[:at]]
    if twice:
        raise BadData(f"the column {twice[0]!r} stands twice", where=path, remedy="remove or rename one of the two")
    kept = zip(frame.get_columns(), tidy, strict=True)
    return pl.DataFrame([column.alias(name) for column, name in kept if name])


def _tidy(name: str) -> str:
    name = name.strip()
    return PROB + name.removeprefix(PROB).strip() if name.startswith(PROB) else name


def _header(path: Path, separator: str) -> list[str]:
    """Return the names in the first line that has any; polars would keep doubled quotation marks doubled."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next((row for row in csv.reader(file, delimiter=separator) if row), [])


def _refuse_other_separator(names: list[str], path: Path) -> None:
    if len(names) != 1:
        return
    used, words = next(((sign, words) for sign, words in _SEPARATORS.items() if sign in names[0]), ("", ""))
    if used:
        ours = "tabs in a .tsv" if path.suffix.lower() == ".tsv" else "commas in a .csv"
        points = _POINTS if used == ";" else ""
        raise BadData(
            f"the columns are separated by {words}", where=path,
            remedy=f"wanted: {ours}, and decimal points; {_RESAVE.format(path.name, used, points)}",
        )  # fmt: skip
