"""The section on data from elsewhere: what is lost, how calibration drifts, and how the patients differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from grandrounds.evaluate.catalogue import METRICS, spoken
from grandrounds.report.blocks import Block, Cell, Column, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import NOT_RECORDED, count, interval, known, opened, share, signed

_HOW = (
    "A family that was trained on the study, on images that nobody chose anything on. Nothing here enters the ranking "
    "or the choice of what ships. Differences are elsewhere minus home, on other patients, with 95 % intervals; home "
    "is the test role of the study."
)
_CAPTIONS = {
    "performance": "what it is worth there",
    "calibration": "whether its probabilities still hold: a slope below 1 is too sure, an intercept below 0 too high",
    "mix": "who the patients are, as shares of the images",
}


def external(ranked: Ranked) -> Section | None:
    """Return three tables for each set of data from elsewhere; None without any."""
    frame = ranked.content.external
    if frame.is_empty():
        return None
    blocks: list[Block] = [Prose((_HOW,))]
    for name in frame["name"].unique(maintain_order=True):
        blocks += _tables(ranked, name, frame.filter(pl.col("name") == name))
    return Section("external", "Does it hold elsewhere?", tuple(blocks))


def _tables(ranked: Ranked, name: str, frame: pl.DataFrame) -> Iterator[Block]:
    sizes = frame.filter(pl.col("kind") == "performance").row(0, named=True)
    counted = f"{name}: {count(sizes['n_samples'])} images of {count(sizes['n_patients'])} patients."
    yield Prose((counted, *([sizes["note"]] if sizes["note"] else [])))
    for kind, words in _CAPTIONS.items():
        part = frame.filter(pl.col("kind") == kind)
        if not part.is_empty():
            families = part["family"].n_unique() > 1
            rows = tuple(tuple(_cells(ranked, row, families=families)) for row in part.iter_rows(named=True))
            yield Table(f"{name}: {words}.", _columns(families=families, intervals=kind != "mix"), rows)


def _columns(*, families: bool, intervals: bool) -> tuple[Column, ...]:
    sides = (Column(side, "95 % interval" if intervals else "") for side in ("At home", "Elsewhere", "Difference"))
    return (Column("What", numeric=False), *((Column("Family", numeric=False),) if families else ()), *sides)


def _cells(ranked: Ranked, row: dict[str, Any], *, families: bool) -> Iterator[Cell]:
    yield Cell(opened(_words(ranked, row)))
    if families:
        yield Cell(row["family"] or "")
    for side in ("home", "external"):
        value = row[side]
        yield Cell(share(value) if known(value) else NOT_RECORDED, interval(row[f"{side}_low"], row[f"{side}_high"]))
    difference = row["difference"]
    yield Cell(signed(difference) if known(difference) else NOT_RECORDED, interval(row["low"], row["high"]))


def _words(ranked: Ranked, row: dict[str, Any]) -> str:
    if row["what"] in METRICS.names():
        return spoken(METRICS.get(row["what"]), ranked.content.task, row["label"])
    return f"{row['what']}: {row['label']}" if row["what"] == "class" else str(row["label"])
