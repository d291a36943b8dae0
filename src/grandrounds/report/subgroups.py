"""The section on subgroups: whether a family reads some patients less well than others."""

from __future__ import annotations

import polars as pl

from grandrounds.report import plots
from grandrounds.report.blocks import Block, Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.ranked import Ranked, Score
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, share
from grandrounds.report.svg import Axis

_HOW = (
    "Each slice is scored as the whole is, on the same draws of patients. With many slices some differ by chance; a "
    "note says which difference to the rest remains after correction for their number."
)


def subgroups(ranked: Ranked) -> Section | None:
    """Return the primary metric of each slice, for the leader open and for the others folded."""
    content = ranked.content
    frame = content.scores.filter(
        pl.col("slice").fill_null("all") != "all",
        pl.col("metric") == content.primary,
        pl.col("label").is_null(),
    )
    present = [one for one in ranked.families if one in set(frame["family"])]
    if not present:
        return None
    ends = [end for row in frame.select("estimate", "low", "high").iter_rows() for end in row]
    axis = plots.strip_axis(ends)
    blocks: list[Block] = [Prose((_HOW,)), _table(ranked, present[0], frame, axis)]
    if present[1:]:
        blocks.append(Folded("The other families", tuple(_table(ranked, one, frame, axis) for one in present[1:])))
    return Section("subgroups", "Who is read less well?", tuple(blocks))


def _table(ranked: Ranked, family: str, frame: pl.DataFrame, axis: Axis) -> Table:
    whole = ranked.score(family, ranked.content.primary)
    rows = [(Cell("all", mark=named(ranked, family).mark), *_cells(whole, axis, ranked, family), Cell(""), Cell(""))]
    for row in frame.filter(pl.col("family") == family).sort("slice").iter_rows(named=True):
        score = Score(row["estimate"], row["low"], row["high"], row["note"])
        cells = _cells(score, axis, ranked, family)
        rows.append((Cell(row["slice"]), *cells, Cell(count(row["n_patients"])), Cell(score.note or "")))
    columns = (
        Column("Slice", numeric=False), Column(ranked.words(ranked.content.primary), "95 % interval"),
        Column(plots.strip_scale(axis), numeric=False), Column("Patients"), Column("Note", numeric=False),
    )  # fmt: skip
    return Table(family, columns, tuple(rows))


def _cells(score: Score, axis: Axis, ranked: Ranked, family: str) -> tuple[Cell, Cell]:
    drawn = plots.strip(score, axis, ranked.looks[family])
    return Cell(share(score.estimate), interval(score.low, score.high)), Cell(drawn)
