"""The section on data from elsewhere: what is lost, how calibration drifts, and how the patients differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from grandrounds.evaluate.catalogue import METRICS, spoken
from grandrounds.report.blocks import Block, Cell, Column, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import NOT_RECORDED, count, interval, known, opened, share, signed

_HOW = (
    "A family that was trained on the study, on images that nobody chose anything on. Nothing here enters the ranking "
    "or the choice of what ships."
)
_BESIDE_HOME = (
    " Differences are elsewhere minus home, on other patients, with 95 % intervals; home is {home} of the study."
)
_CAPTIONS = {
    "performance": "what it is worth there",
    "threshold": "what the thresholds that ship give there; what they gave at home stands under what would be decided",
    "calibration": "whether its probabilities still hold: a slope below 1 is too sure, an intercept below 0 too high",
    "mix": "who the patients are, as shares of the {unit}s",
}
_OF_CALLS = {"recall": "sensitivity", "specificity": "specificity"}
_SIDES = {"home": "At home", "external": "There", "difference": "Difference"}


def external(ranked: Ranked) -> Section | None:
    """Return three tables for each set of data from elsewhere; None without any."""
    frame = ranked.content.external
    if frame.is_empty():
        return None
    beside_home = _BESIDE_HOME.format(home=ranked.tested_on) if frame["home"].count() else ""
    blocks: list[Block] = [Prose((_HOW + beside_home,))]
    for name in frame["name"].unique(maintain_order=True):
        blocks += _tables(ranked, name, frame.filter(pl.col("name") == name))
    return Section("external", "Does it hold elsewhere?", tuple(blocks))


def _tables(ranked: Ranked, name: str, frame: pl.DataFrame) -> Iterator[Block]:
    sizes = frame.filter(pl.col("kind") == "performance").row(0, named=True)
    unit = {"sample": "image"}.get(word := sizes["unit"] or "sample", word)
    told = unit != "patient" and sizes["n_patients"] is not None
    whose = f" of {count(sizes['n_patients'])} patients" if told else ""
    yield Prose((f"{name}: {count(sizes['n_samples'])} {unit}s{whose}.", *([sizes["note"]] if sizes["note"] else [])))
    for kind, words in _CAPTIONS.items():
        for (family,), part in (
            frame.filter(kind=kind).partition_by("family", as_dict=True, maintain_order=True).items()
        ):
            whose = f"{name}, {family}" if family else name
            yield _table(ranked, f"{whose}: {words.format(unit=unit)}.", part, intervals=kind != "mix")


def _table(ranked: Ranked, caption: str, part: pl.DataFrame, *, intervals: bool) -> Table:
    """Return one row a number, with a column for each side that has any."""
    sides = {side: words for side, words in _SIDES.items() if part[side].count()}
    columns = (Column(words, "95 % interval" if intervals else "") for words in sides.values())
    rows = tuple((Cell(opened(_words(ranked, row))), *_cells(row, sides)) for row in part.iter_rows(named=True))
    return Table(caption, (Column("What", numeric=False), *columns), rows)


def _cells(row: dict[str, Any], sides: Iterable[str]) -> Iterator[Cell]:
    for side in sides:
        value, before = row[side], "" if side == "difference" else f"{side}_"
        shown = signed(value) if side == "difference" and known(value) else share(value)
        yield Cell(shown if known(value) else NOT_RECORDED, interval(row[f"{before}low"], row[f"{before}high"]))


def _words(ranked: Ranked, row: dict[str, Any]) -> str:
    if row["kind"] == "threshold":
        return f"{row['label']}: {_OF_CALLS[row['what']]}"
    if row["what"] in METRICS.names():
        return spoken(METRICS.get(row["what"]), ranked.content.task, row["label"])
    return f"{row['what']}: {row['label']}" if row["what"] == "class" else str(row["label"])
