"""What is wrong with a CSV that cannot be read, and in which line."""

from __future__ import annotations

import csv
from pathlib import Path

from grandrounds.errors import BadData


def refuse_undecoded(path: Path) -> None:
    """Refuse a text that is not UTF-8.

    Raises:
        BadData: With the first line that is not.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise BadData(
                    "the text is not UTF-8, perhaps Latin-1", where=f"{path}, line {number}",
                    remedy="save it as UTF-8; spreadsheets call it CSV UTF-8",
                ) from None  # fmt: skip


def refuse_too_long(path: Path, separator: str) -> None:
    """Refuse a table one of whose rows has more cells than its header.

    Raises:
        BadData: With the line of the first such row.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        width = len(next((row for row in rows if row), []))
        for row in rows:
            if len(row) > width:
                raise BadData(
                    f"the row has {len(row)} cells, and the header {width}",
                    where=f"{path}, line {rows.line_num}",
                    remedy="write decimal points, not commas, and put a cell that holds a comma in quotation marks",
                )
