"""Reads GlaS, also called Warwick-QU: stained colon tissue, benign or malignant, graded in `Grade.csv`.

Sirinukunwattana et al., Med Image Anal 2017; 35:489-502. For research, commercial use is not allowed; download from
https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest.

Names and values in `Grade.csv` begin with blanks. The same patients stand in train and in both tests, so the official
split leaks and is watermarked; `grandrounds plan --scheme kfold` draws one by patient. The finer grade of 2015 (one of
its values is misspelt in the file) gives the label away, so it does not come along; nor do the `_anno` masks.
"""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from grandrounds.data.draft import Draft, refusals, with_columns
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData

GRADES = "Grade.csv"
CLASSES = ("benign", "malignant")
_COLUMNS = ("name", "patient ID", "grade (GlaS)")
_ROLES = {"train": "train", "testA": "test", "testB": "test"}


def draft(source: Path, options: SourceOptions) -> Draft:
    """Return the draft of the folder that holds `Grade.csv`, or of the one inside that does.

    Raises:
        BadData: There is no such table, or it lacks a column.
    """
    del options  # the table has one meaning
    table = next(iter(sorted([*source.glob(GRADES), *source.glob(f"*/{GRADES}")])), None)
    if table is None:
        raise BadData(f"there is no {GRADES}", where=source, remedy="unpack the whole archive into one folder")
    rows, refused = [], []
    for name, patient, grade in _graded(table):
        path, role = table.with_name(f"{name}.bmp"), _ROLES.get(name.partition("_")[0])
        reason = (
            f"{GRADES} calls it neither train, testA nor testB"
            if role is None
            else f"its grade in {GRADES} is neither benign nor malignant"
            if grade not in CLASSES
            else None
            if path.is_file()
            else f"{GRADES} names it, and there is no such file"
        )
        if reason:
            refused.append((str(path), None, None, reason))
            continue
        rows.append({"sample": name, "patient": patient, "label": grade, "role": role, "path": str(path)})
    if not rows:
        raise BadData(f"no image that {GRADES} names can be used", where=table)
    return Draft(
        name="glas",
        root=source,
        rows=with_columns(pl.DataFrame(rows)).with_columns(body_part=pl.lit("COLON")),
        task="grade",
        task_kind="binary",
        classes=CLASSES,
        positive="malignant",
        condition="colorectal adenocarcinoma in a stained section",
        flips=True,
        licence="research only, not commercial",
        notes=("The official split has patients in train and in test: it leaks. The scheme kfold keeps them apart.",),
        refused=refusals(refused),
    )


def _graded(table: Path) -> list[tuple[str, str | None, str]]:
    """Return name, patient and grade of each row, without the blanks around them."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if any(map(str.strip, line))]
        head = {name.casefold(): index for index, name in enumerate(lines[0])}
        name, patient, grade = (head[column.casefold()] for column in _COLUMNS)
        return [(line[name], line[patient] or None, line[grade].casefold()) for line in lines[1:]]
    except (OSError, UnicodeDecodeError, csv.Error, LookupError):
        raise BadData(
            f"{GRADES} cannot be read, or lacks one of the columns {', '.join(_COLUMNS)}",
            where=table,
            remedy="take the table that came with the images",
        ) from None
