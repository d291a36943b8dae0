"""The section on errors: what each family gets most wrong, and which labels may be wrong themselves."""

from __future__ import annotations

import base64

import polars as pl

from grandrounds.evaluate.wrongly import SUSPECT, WORST
from grandrounds.report.blocks import Block, Cell, Column, Folded, Pictures, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count, share

_PNG = b"\x89PNG\r\n\x1a\n"
MOST_SHOWN = 12
_SUSPECTS = (
    "Families that never saw the patient agree against these labels. That is a reason to look at the image again, "
    "no proof; nothing was changed or left out for it."
)


def errors(ranked: Ranked) -> Section | None:
    """Return the worst errors of the leader as pictures, those of the others folded, and the suspect labels."""
    frame = ranked.content.suspects
    if frame.is_empty():
        return None
    worst = frame.filter(pl.col("kind") == WORST)
    blocks: list[Block] = []
    present = [one for one in ranked.families if one in set(worst["family"].drop_nulls())]
    for turn, family in enumerate(present):
        part = worst.filter(pl.col("family") == family).sort("rank").head(MOST_SHOWN)
        shown = _shown(ranked, part, f"Worst errors of {family}")
        blocks += shown if not turn else [Folded(f"Worst errors of {family}", shown)]
    suspects = frame.filter(pl.col("kind") == SUSPECT).sort("rank")
    if not suspects.is_empty():
        some = suspects.head(MOST_SHOWN)
        more = (f"{count(suspects.height - some.height)} more are in suspects.parquet.",)
        told = (_SUSPECTS, *(more if suspects.height > some.height else ()))
        blocks += [Prose(told), *_shown(ranked, some, "Labels to look at again")]
    return Section("errors", "What is read wrongly", tuple(blocks))


def _shown(ranked: Ranked, rows: pl.DataFrame, title: str) -> tuple[Block, ...]:
    """Return a table with the pictures of its rows, where each has one; a few of them would not match it.

    Pictures are kept of the leader and of what ships, see `study.pictures`.
    """
    pictures = _pictures(ranked, rows, title)
    whole = bool(pictures) and len(pictures[0].images) == rows.height
    return (*pictures, _table(rows, "In the order of the pictures. ")) if whole else (_table(rows),)


def _pictures(ranked: Ranked, rows: pl.DataFrame, title: str) -> tuple[Pictures, ...]:
    images = []
    for row in rows.iter_rows(named=True):
        data = ranked.content.thumbnails.get(row["sample"], b"")
        if data.startswith(_PNG):
            words = f"{row['sample']}: labelled {row['label']}, called {row['predicted']}"
            images.append((words, base64.b64encode(data).decode()))
    return (Pictures(title, tuple(images)),) if images else ()


def _table(rows: pl.DataFrame, order: str = "") -> Table:
    columns = (
        Column("Image", numeric=False), Column("Labelled", numeric=False), Column("Called", numeric=False),
        Column("Probability", "of the stated label"), Column("Note", numeric=False),
    )  # fmt: skip
    cells = tuple(
        (Cell(row["sample"]), Cell(row["label"] or ""), Cell(row["predicted"] or ""), Cell(share(row["probability"])),
         Cell(row["note"] or ""))
        for row in rows.iter_rows(named=True)
    )  # fmt: skip
    return Table(f"{order}Probabilities are means over the predictions.", columns, cells)
