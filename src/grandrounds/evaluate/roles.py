"""The column `role` of somebody's file: other spellings of the five roles, and rows that are not judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from grandrounds.errors import BadData
from grandrounds.evaluate.columns import refuse_row
from grandrounds.tables import ROLES

ALSO = {"training": "train", "val": "valid", "validation": "valid", "testing": "test", "calibration": "calib"}
_WANTED = f"name one of: {', '.join(ROLES)}"


def understood(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the rows with our names of roles; without the column where no row names one.

    Raises:
        BadData: A role is none of the five, or is empty while other rows name theirs.
    """
    if "role" not in frame.columns:
        return frame
    said = _plain(frame)
    if (said == "").all():
        return frame.drop("role")
    ours = said.replace(ALSO)
    strange = ~ours.is_in(ROLES)
    if strange.any():
        at = int(strange.arg_max() or 0)
        what = f"the role {said[at]!r} is unknown" if said[at] else "role is empty, while other rows name theirs"
        refuse_row(frame, path, at, what, _WANTED)
    return frame.with_columns(role=ours)


def respelt(frames: Sequence[pl.DataFrame]) -> Iterator[str]:
    """Yield which spellings of roles were taken for which of ours, where there are any."""
    named = [frame for frame in frames if "role" in frame.columns]
    if not named:
        return
    said = pl.concat([pl.DataFrame({"theirs": _stripped(frame), "ours": _plain(frame)}) for frame in named])
    pairs = said.with_columns(pl.col("ours").replace(ALSO)).unique(maintain_order=True)
    words = [f"{theirs!r} is {ours}" for theirs, ours in pairs.iter_rows() if theirs != ours]
    if words:
        yield f"Roles were read as ours: {', '.join(words)}."


def left_out(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield how many rows of data from elsewhere are not judged, and how they would be."""
    n = predictions.filter(role="external").height
    if n:
        counted = f"{n:,} rows of the role external are" if n > 1 else "1 row of the role external is"
        yield (
            f"{counted} not judged here. To judge predictions of others on external data, give these rows a file of "
            "their own, with the role test; for a model that was trained here there is `grandrounds evaluate`."
        )


def refuse_untested(predictions: pl.DataFrame, task: str) -> None:
    """Raise BadData where no row is of the role test, with the roles that there are."""
    there = predictions["role"].unique().to_list()
    if "test" not in there:
        raise BadData(
            f"no row of the task {task!r} has the role test, and only test is judged",
            where=f"column role; there {'are' if there[1:] else 'is'}: {', '.join(sorted(there))}",
            remedy="name the role test in the rows that are to be judged, or leave out the column",
        )


def _plain(frame: pl.DataFrame) -> pl.Series:
    """Return the role of each row without padding, in lower case; empty where there is none."""
    return _stripped(frame).str.to_lowercase()


def _stripped(frame: pl.DataFrame) -> pl.Series:
    return frame["role"].cast(pl.String).fill_null("").str.strip_chars()
