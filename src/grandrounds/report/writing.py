"""A report in its three forms: one HTML page, the same as Markdown, and its tables as CSV."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from grandrounds import tables
from grandrounds.report import markdown, page
from grandrounds.report.content import ReportContent

HTML, MARKDOWN, CSV = "report.html", "report.md", "csv"
_TABLES = ("scores", "comparisons", "curves", "intervals", "readers", "decisions", "findings", "trials")
_FORMULA = r"^[=+\-@\t\r]"  # what a spreadsheet would take for a formula


def write_all(content: ReportContent, folder: Path) -> Path:
    """Write `report.html`, `report.md` and a folder `csv` with a file for each table, and return the page.

    Raises:
        StoreTrouble: A file cannot be written.
    """
    for name in _TABLES:
        frame = content.table(name)
        if not frame.is_empty():
            _write(plain(frame).write_csv(), folder / CSV / f"{name}.csv")
    _write(markdown.render(content), folder / MARKDOWN)
    return page.write(content, folder / HTML)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table as a spreadsheet may read it: lists as text, and no text that would be taken for a formula."""
    lists = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    frame = frame.with_columns(pl.col(name).cast(pl.List(pl.String())).list.join("; ") for name in lists)
    text = pl.col(pl.String())
    return frame.with_columns(pl.when(text.str.contains(_FORMULA)).then("'" + text).otherwise(text).name.keep())


def _write(text: str, path: Path) -> None:
    with tables.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
