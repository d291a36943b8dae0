"""A table of labels joined to the exams of a DICOM export, with everything that found no partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import polars as pl

from grandrounds.csv_faults import refuse_too_long, refuse_undecoded
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats.below import NOWHERE, leads_nowhere
from grandrounds.wording import many

Key = Literal["accession", "series", "study", "patient"]
# What joins, in the order in which it is tried, and how tables call it.
NAMES: Mapping[Key, tuple[str, ...]] = MappingProxyType(
    {
        "accession": ("accession", "accessionnumber", "accession_number", "acc", "acc_no"),
        "series": ("series", "seriesinstanceuid", "series_uid", "seriesuid"),
        "study": ("study", "studyinstanceuid", "study_uid", "studyuid", "exam"),
        "patient": ("patient", "patientid", "patient_id", "subject", "subject_id", "mrn"),
    }
)
ROW, SERIES, _PLAIN, _BARE = "#row", "#series", "#plain", "#bare"
_MOST_LISTED = 20
_LABELS = ("label", "diagnosis", "class", "finding", "target")


@dataclass(frozen=True)
class Joined:
    """Labels with the series they speak of.

    Args:
        rows: The rows of the table that found images, with their number (1 is the first under the heading) as `ROW` and
            their series as `SERIES`: names that no table has.
        key: What joined.
        column: The column of the table that joined.
        without_images: Rows of the table (1 is the first under the heading) whose images are not there.
        without_label: Series that no row speaks of.
        notes: What a reader should be told.
    """

    rows: pl.DataFrame
    key: Key
    column: str
    without_images: tuple[int, ...]
    without_label: tuple[str, ...]
    notes: tuple[str, ...]


def read_table(path: Path) -> pl.DataFrame:
    """Return a CSV, TSV or XLSX as text, names and cells trimmed; nothing is guessed, so "001" stays "001".

    Columns are separated by whichever of tabs, semicolons and commas the first line has most of.

    Raises:
        BadData: There is no such file, or it is no table; the message names the line where one is to blame.
    """
    if leads_nowhere(path) or not path.exists():
        what = NOWHERE if leads_nowhere(path) else "there is no such file"
        raise BadData(what, where=path, remedy="check the path of the table")
    try:
        if path.suffix.lower() == ".xlsx":
            frame = pl.read_excel(path, engine="calamine", infer_schema_length=0)
        else:
            frame = _read_csv(path)
    except BadData:
        raise
    except pl.exceptions.NoDataError:
        remedy = "write the names of the columns in the first line, and a row below for each image"
        raise BadData("the table is empty", where=path, remedy=remedy) from None
    except Exception as error:  # noqa: BLE001  (a spreadsheet's reader has errors of its own)
        raise BadData(
            f"this table cannot be read ({type(error).__name__})",
            where=path,
            remedy="give a CSV or TSV in UTF-8, or an XLSX",
        ) from None
    frame = frame.rename({name: name.strip().removeprefix("\ufeff") for name in frame.columns}).cast(pl.String())
    return frame.with_columns(pl.all().str.strip_chars())


def without_empty(table: pl.DataFrame, *, but: str | None = None) -> pl.DataFrame:
    """Return a table without rows that are wholly empty, as spreadsheets leave them at the end.

    Args:
        table: As `read_table` gives it.
        but: A column that is not looked at; None for none.
    """
    cells = pl.all() if but is None else pl.exclude(but)
    return table.filter(~pl.all_horizontal(cells.fill_null("") == ""))


def _read_csv(path: Path) -> pl.DataFrame:
    content, separator = path.read_bytes(), _separator(path)
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")  # as old spreadsheets for the Mac end their lines
    try:
        return pl.read_csv(content, infer_schema=False, separator=separator)
    except pl.exceptions.ComputeError:
        refuse_undecoded(path)
        refuse_too_long(path, separator)
        raise


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return max(("\t", ";", ","), key=first.count)


def join(table: pl.DataFrame, series: pl.DataFrame, key: Key | Literal["auto"], *, where: Path) -> Joined:
    """Return the rows of a table beside the series that they speak of.

    Ids are compared without regard to case, padding and, where that leaves no doubt, leading zeros, which a
    spreadsheet may have lost.

    Args:
        table: As `read_table` gives it.
        series: One row per series, with `series, study, accession, patient`.
        key: What joins; `"auto"` takes the first that has a column in the table and a match among the images.
        where: The table, for messages.

    Raises:
        BadSpec: The table has no column for it.
        BadData: No row has images.
    """
    candidates = [key] if key != "auto" else list(NAMES)
    tried = []
    for one in candidates:
        column = next((name for name in table.columns if name.lower() in NAMES[one]), None)
        if column is None:
            continue
        tried.append(column)
        found = _match(table, series, one, column)
        if found.rows.height:
            return found
    if not tried:
        wanted = ", ".join(name for one in candidates for name in NAMES[one][:1])
        raise BadSpec("the table of labels has no column that joins", where=where, remedy=f"call one of them: {wanted}")
    raise BadData(
        f"no row of the table has images here; compared by {', '.join(tried)}",
        where=where,
        remedy="check that the table belongs to this export, and that its ids were not changed by a spreadsheet",
    )


def _match(table: pl.DataFrame, series: pl.DataFrame, key: Key, column: str) -> Joined:
    ours = series.select(pl.col("series").alias(SERIES), _plain(pl.col(key)).alias(_PLAIN))
    ours = ours.filter(pl.col(_PLAIN).is_not_null())
    rows = without_empty(table.with_row_index(ROW, offset=1), but=ROW)
    rows = rows.with_columns(_plain(pl.col(column)).alias(_PLAIN))
    exact = rows.join(ours, on=_PLAIN, how="inner", maintain_order="left")
    loose = _without_zeros(rows, ours, exact)
    matched = pl.concat([exact, loose]).sort(ROW, maintain_order=True)
    notes = [f"Labels were joined by {key} (column {column!r}): {matched[ROW].n_unique()} of {rows.height} rows."]
    if loose.height:
        n_loose = many(loose[ROW].n_unique(), "row")
        notes.append(f"{n_loose} of these matched only without leading zeros, as a spreadsheet loses them.")
    without_images = tuple(sorted(set(rows[ROW]) - set(matched[ROW])))
    without_label = tuple(sorted(set(series["series"]) - set(matched[SERIES])))
    if without_images:
        row = "1 row of the table has" if len(without_images) == 1 else f"{len(without_images)} rows of the table have"
        notes.append(f"{row} no images here: {_listed(without_images)}, counted below the heading.")
    if without_label:
        notes.append(f"{many(len(without_label), 'series', 'have')} no row in the table (inspect --names lists them).")
    return Joined(matched.drop(_PLAIN), key, column, without_images, without_label, tuple(notes))


def _listed(numbers: Sequence[int]) -> str:
    n_more = len(numbers) - _MOST_LISTED
    return ", ".join(map(str, numbers[:_MOST_LISTED])) + (f" and {n_more} more" if n_more > 0 else "")


def _without_zeros(rows: pl.DataFrame, ours: pl.DataFrame, exact: pl.DataFrame) -> pl.DataFrame:
    """Return what matches once leading zeros are dropped, where that makes no two ids the same."""
    bare = pl.col(_PLAIN).str.strip_chars_start("0")
    theirs = rows.filter(~pl.col(ROW).is_in(exact[ROW].implode()), pl.col(_PLAIN).str.contains(r"^\d+$"))
    left = ours.filter(~pl.col(SERIES).is_in(exact[SERIES].implode()))
    clear = ours.group_by(bare.alias(_BARE)).agg(pl.col(_PLAIN).n_unique().alias("n")).filter(pl.col("n") == 1)
    left = left.with_columns(bare.alias(_BARE)).join(clear.select(_BARE), on=_BARE, how="semi")
    return (
        theirs.with_columns(bare.alias(_BARE))
        .join(left.drop(_PLAIN), on=_BARE, how="inner", maintain_order="left")
        .drop(_BARE)
    )


def label_column(table: pl.DataFrame, wanted: str | None, joined_by: str, *, where: Path) -> str:
    """Return the column of the label: the one that was named, one with a usual name, or the only one left.

    Raises:
        BadSpec: There is no such column, or several could be meant.
    """
    if wanted is not None:
        refuse_absent(table, wanted, where=where)
        return wanted
    usual = [name for name in table.columns if name.lower() in _LABELS]
    rest = [name for name in table.columns if name != joined_by]
    found = usual or (rest if len(rest) == 1 else [])
    if len(found) != 1:
        raise BadSpec(
            "which column is the label is not clear", where=where, remedy=f"say --label with one of: {', '.join(rest)}"
        )
    return found[0]


def refuse_absent(table: pl.DataFrame, column: str, *, where: Path) -> None:
    """Refuse a column that the table does not have.

    Raises:
        BadSpec: With the columns that it has.
    """
    if column not in table.columns:
        raise BadSpec(f"the table has no column {column!r}", where=where, remedy=f"it has: {', '.join(table.columns)}")


def _plain(ids: pl.Expr) -> pl.Expr:
    text = ids.cast(pl.String()).str.strip_chars().str.to_lowercase()
    return pl.when(text != "").then(text)
