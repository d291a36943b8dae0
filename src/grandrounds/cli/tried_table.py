"""The recipes that a tuning compared, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from grandrounds.study.space import PLACE

_NONE, _NOTE = "–", "note"
_UNBOUNDED = 10_000  # columns of a terminal in which every table has room
_NUMBERS = {  # column of the tuning's table: title, form
    "sd": ("SD", ".3f"), "log_loss": ("log loss", ".3f"), "best_epoch": ("epoch", ".0f"), "fit_s": ("s", ".0f"),
    "part": ("part", ".2f"),
}  # fmt: skip
_WORDS = {
    "SD": "SD: over trainings",
    "part": "part: of the passes that were trained; what was dropped early stands last",
}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class TriedTable:
    """The recipes of a family that were compared, the best first; what all have alike stands below.

    Args:
        family: Its name.
        tried: What `tune` found, with a column for each parameter that any recipe changes in front.
        metric: What decided, in words.
        usual: Which of those that were asked for the others are held against; None for none.
    """

    family: str
    tried: pl.DataFrame
    metric: str
    usual: int | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with numbers beside their intervals; with intervals below them where that has no room."""
        beside, below = (self._table(between) for between in (" ", "\n"))
        room = console.measure(beside, options=options.update_width(_UNBOUNDED)).maximum
        yield beside if room <= options.max_width else below

    def _table(self, between: str) -> Table:
        tried = self.tried
        own = tried.columns[: tried.columns.index("mean")]
        own = [name for name in own if tried[name].null_count() < tried.height]
        alike = [name for name in own if tried.height > 1 and tried[name].n_unique() == 1]
        changed = [name for name in own if name not in alike]
        rows = tried.to_dicts()
        held = next((row for row in rows if row[PLACE] == self.usual), None)
        early = bool((tried["part"] != 1).any())
        drawn = Table(
            title=f"{self.family}, the best recipe first", title_justify="left",
            padding=(0, 0), show_lines="\n" in between,
            caption_justify="left",
        )  # fmt: skip
        columns = dict(_recipes(rows, held, changed))
        for title in columns:
            drawn.add_column(title, overflow="fold")
        measured = dict(_measured(rows, self.metric, between, early=early))
        drawn.caption = "\n".join((*_titles(measured), *_below(rows[0], held, changed, alike)))
        for title in measured:
            drawn.add_column(title, justify="right", overflow="fold", no_wrap=title != _NOTE)
        for cells in zip(*columns.values(), *measured.values(), strict=True):
            drawn.add_row(*cells)
        return drawn


def _titles(measured: Mapping[str, object]) -> Iterator[str]:
    """Yield one line on those titles that need a word, of the columns that stand in the table."""
    told = "; ".join(words for title, words in _WORDS.items() if title in measured)
    if told:
        yield told


def _below(first: Row, usual: Row | None, changed: Sequence[str], alike: Sequence[str]) -> Iterator[str]:
    if usual is not None and len(changed) > 1:
        yield "as usual: " + ", ".join(f"{name} = {_plain(usual[name])}" for name in changed)
    if alike:
        yield "in all of them: " + ", ".join(f"{name} = {first[name]}" for name in alike)


def _recipes(rows: Sequence[Row], usual: Row | None, changed: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield one column: the values of a parameter, or of several what is not as usual."""
    if len(changed) == 1:
        yield changed[0], [_plain(row[changed[0]]) for row in rows]
    elif changed:
        yield "recipe", ["as usual" if row is usual else _apart(row, usual, changed) for row in rows]


def _apart(row: Row, usual: Row | None, changed: Sequence[str]) -> str:
    told = [name for name in changed if usual is None or row[name] != usual[name]]
    return "\n".join(f"{name} = {_plain(row[name])}" for name in told)


def _measured(rows: Sequence[Row], metric: str, between: str, *, early: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns of what was measured, but for those that are empty."""
    worth = [_bounded((row["mean"], row["low"], row["high"]), ".3f", between) for row in rows]
    bounds = [(row["difference"], row["difference_low"], row["difference_high"]) for row in rows]
    apart = [_bounded(found, "+.3f", between, row["verdict"]) for found, row in zip(bounds, rows, strict=True)]
    columns = {f"{metric}{between}(95 %)": worth, f"difference{between}from the usual": apart}
    for name, (title, form) in _NUMBERS.items():
        if name != "part" or early:
            values = [row.get(name) for row in rows]
            columns[title] = [None if value is None else f"{value:{form}}" for value in values]
    columns[_NOTE] = [row.get("note") for row in rows]
    for title, cells in columns.items():
        if any(cells):
            yield title, [cell or _NONE for cell in cells]


def _bounded(found: Sequence[float | None], form: str, between: str, then: str | None = None) -> str | None:
    """Return a number with its bounds, as far as they are known."""
    number, low, high = found
    if number is None or low is None or high is None:
        return None if number is None else f"{number:{form}}"
    return between.join([f"{number:{form}}", f"({low:{form}} to {high:{form}})", *([then] if then else [])])


def _plain(value: object) -> str:
    return _NONE if value is None else str(value)
