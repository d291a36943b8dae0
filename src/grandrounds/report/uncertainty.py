"""The section on what else is uncertain: other intervals, the spread over folds and seeds, and the other levels."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from grandrounds.report.blocks import Cell, Column, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import NOT_RECORDED, count, interval, known, opened, share

_SPREAD = "spread over"  # how the methods begin that speak of no sampling error


def uncertainty(ranked: Ranked) -> Section | None:
    """Return intervals of other methods beside the one shown, spreads, and the primary metric at every level."""
    blocks = tuple(table for table in (_methods(ranked), _levels(ranked)) if table is not None)
    return Section("uncertainty", "What else is uncertain", blocks) if blocks else None


def _methods(ranked: Ranked) -> Table | None:
    content = ranked.content
    rows = content.intervals.filter(pl.col("metric") == content.primary, pl.col("label").is_null())
    methods = rows["method"].unique(maintain_order=True).to_list()
    if not methods:
        return None
    cells = {(row["family"], row["method"]): row for row in rows.iter_rows(named=True)}
    columns = (
        Column("Family", numeric=False),
        Column("In the ranking", "95 % interval"),
        *(
            Column(opened(name), "standard deviation" if name.startswith(_SPREAD) else "95 % interval")
            for name in methods
        ),
    )
    lines = []
    for family in ranked.scored:
        shown = ranked.score(family, content.primary)
        lines.append(
            (
                named(ranked, family),
                Cell(interval(shown.low, shown.high) or NOT_RECORDED),
                *(_cell(cells.get((family, name)), spread=name.startswith(_SPREAD)) for name in methods),
            )
        )
    caption = (
        f"{opened(ranked.words(content.primary))} by other methods. The spread over folds and over seeds is no "
        "sampling error; training anew makes up for the patients that folds share."
    )
    notes = tuple(f"{opened(note)}." for note in rows["note"].drop_nulls().unique(maintain_order=True))
    return Table(caption, columns, tuple(lines), notes)


def _cell(row: dict[str, float | None] | None, *, spread: bool) -> Cell:
    if row is None:
        return Cell(NOT_RECORDED)
    if spread:
        return Cell(share(row["error"]) if known(row["error"]) else NOT_RECORDED, f"n = {count(row['n'])}")
    return Cell(interval(row["low"], row["high"]) or NOT_RECORDED)


def _levels(ranked: Ranked) -> Table | None:
    content = ranked.content
    rows = content.scores.filter(
        pl.col("metric") == content.primary, pl.col("label").is_null(), pl.col("slice").fill_null("all") == "all"
    )
    units = rows["unit"].drop_nulls().unique(maintain_order=True).to_list()
    if len(units) < 2:
        return None
    cells = {(row["family"], row["unit"]): row for row in rows.iter_rows(named=True)}
    columns = (Column("Family", numeric=False), *(Column(f"By {unit}", _rows(cells, unit)) for unit in units))
    lines = tuple((named(ranked, family), *_values(cells, family, units)) for family in ranked.scored)
    caption = (
        f"{opened(ranked.words(content.primary))} with 95 % intervals at every level. Families are compared by "
        f"{ranked.unit}; whatever the level, patients are drawn."
    )
    return Table(caption, columns, lines)


def _rows(cells: dict[tuple[str, str], dict[str, int | None]], unit: str) -> str:
    n = next((row["n_samples"] for (_, one), row in cells.items() if one == unit), None)
    return f"n = {count(n)}" if n is not None else ""


def _values(cells: dict[tuple[str, str], dict[str, float | None]], family: str, units: list[str]) -> Iterator[Cell]:
    for unit in units:
        row = cells.get((family, unit))
        yield Cell(NOT_RECORDED) if row is None else Cell(share(row["estimate"]), interval(row["low"], row["high"]))
