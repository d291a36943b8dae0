"""What an export of an image archive is known by, before anything of it is read."""

from __future__ import annotations

from pathlib import Path

DICOMDIR = "DICOMDIR"
TABLES = ("labels.csv", "labels.tsv", "labels.xlsx")


def is_container(path: Path) -> bool:
    """Whether a path can hold a whole export: a folder, a DICOMDIR or a ZIP."""
    return path.is_dir() or path.name.upper() == DICOMDIR or path.suffix.lower() == ".zip"


def table_in(source: Path) -> Path | None:
    """Return the table of labels that lies in an export; None where none does."""
    if not source.is_dir():
        return None
    return next((source / name for name in TABLES if (source / name).is_file()), None)
