"""The way from everything that was found to what is analysed: a record that adds up, for a STARD flow diagram.

Reference: STARD 2015, Bossuyt et al., BMJ 2015; 351:h5527, item 19.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

FLOW = {
    "stage": pl.String(),  # "found", then every way out, then "analysed"
    "reason": pl.String(),  # why it went out; of what is analysed, the class
    "n_patients": pl.Int64(),  # null where the files themselves do not tell
    "n_cases": pl.Int64(),
    "n_images": pl.Int64(),
}
FOUND, ANALYSED, UNKNOWN, UNREADABLE = "found", "analysed", "label unknown", "unreadable"


def stage(name: str, rows: pl.DataFrame, reason: str | None = None) -> dict[str, Any]:
    """Return one row of the flow.

    Args:
        name: The stage.
        rows: One row per image with `patient, case`, either of which may be null.
        reason: Why it went out.
    """
    return {
        "stage": name,
        "reason": reason,
        "n_patients": rows["patient"].drop_nulls().n_unique() or None,
        "n_cases": rows["case"].drop_nulls().n_unique() or None,
        "n_images": rows.height,
    }


def left_out(name: str, reasons: pl.Series) -> Iterator[dict[str, Any]]:
    """Yield one row for each reason for which files were left out before anything was known of them."""
    for reason, n in reasons.value_counts(sort=True).iter_rows():
        yield {"stage": name, "reason": reason, "n_patients": None, "n_cases": None, "n_images": n}


def flow(before: Iterable[Mapping[str, Any]], drafted: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return the whole way; the images that went out and those that are analysed add up to those that were found.

    Args:
        before: What went out before any image was read.
        drafted: One row per image that was to be read, with `sample, patient, case`.
        kept: One row per image that could be read, with `sample, patient, case, label`.
    """
    gone = [row for row in before if row["n_images"]]
    unread = drafted.filter(~pl.col("sample").is_in(kept["sample"].unique().implode()))
    if unread.height:
        gone.append(stage(UNREADABLE, unread, "its pixels cannot be used"))
    unknown = kept.filter(pl.col("label").is_null())
    if unknown.height:
        gone.append(stage(UNKNOWN, unknown, "nobody said which class it is"))
    analysed = [
        stage(ANALYSED, part, str(label))
        for (label,), part in kept.filter(pl.col("label").is_not_null()).group_by("label", maintain_order=True)
    ]
    total = sum(row["n_images"] for row in (*gone, *analysed))
    known = drafted.filter(pl.col("sample").is_not_null())
    found = stage(FOUND, known) | {"n_images": total}
    if any(row["n_patients"] for row in gone):
        found |= {"n_patients": None, "n_cases": None}  # those who left are not among the drafted
    return pl.DataFrame([found, *gone, *analysed], schema=FLOW)


def lines(frame: pl.DataFrame) -> list[str]:
    """Return the flow as plain text for a terminal, one line a stage."""
    return [
        f"  {row['stage'] + (': ' + row['reason'] if row['reason'] else ''):<64} {row['n_images']:>9,}"
        for row in frame.iter_rows(named=True)
    ]
