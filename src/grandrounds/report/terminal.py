"""What a report says first, for the terminal: the ranking as a table, and what the audits found in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from grandrounds.report.content import ReportContent
from grandrounds.report.costs import costs
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import NOT_APPLICABLE, NOT_RECORDED, amount, interval

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

_UNBOUNDED = 10_000  # columns of a terminal in which every ranking has room
_HEADING = len("macro AUC")  # columns; a heading that is wider than this and its numbers would cost them their place


@dataclass(frozen=True)
class Ranking:
    """The families, best first, with their intervals and costs, as far as the terminal has room for them."""

    content: ReportContent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the fullest table whose lines fit; where none does, names go on below, and numbers stay whole."""
        unbounded = options.update_width(_UNBOUNDED)
        tables = list(self._tables())
        fitting = (one for one in tables if console.measure(one, options=unbounded).maximum <= options.max_width)
        yield next(fitting, tables[-1])

    def _tables(self) -> Iterator[Table]:
        """Yield the table, ever narrower: without space beside the rules, without costs, with the interval alone."""
        columns = dict(_columns(self.content))
        for n_columns in (len(columns), 4, 3):
            for padding in (1, 0):
                yield self._table(dict(list(columns.items())[:n_columns]), padding, whole=n_columns == len(columns))

    def _table(self, columns: dict[str, list[str]], padding: int, *, whole: bool) -> Table:
        from rich.table import Table  # noqa: PLC0415  (rich is imported only where something is printed)
        from rich.text import Text  # noqa: PLC0415

        title = " · ".join((self.content.title, *self.content.watermarks))
        ranked = Ranked.of(self.content)
        caption = f"{ranked.words(self.content.primary)} on {ranked.tested_on}{'' if whole else '; more in the report'}"
        table = Table(title=Text(title), caption=Text(caption), padding=(0, padding))
        names, *numbers = columns
        table.add_column(names, overflow="fold")  # cut short, two recipes of one network would be called alike
        for heading in numbers:
            table.add_column(Text(textwrap.fill(heading, _HEADING)), justify="right", no_wrap=True)
        for cells in zip(*columns.values(), strict=True):
            table.add_row(*map(Text, cells))  # `Text`: a name in square brackets is a name, not markup
        return table


def _columns(content: ReportContent) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns, what matters most first."""
    ranked, spent = Ranked.of(content), costs(content.trials)
    scores = [ranked.score(family, content.primary) for family in ranked.families]
    yield "family", [_named(family, ranked) for family in ranked.families]
    yield ranked.words(content.primary), [_value(family, content.primary, ranked) for family in ranked.families]
    yield "95 % interval", [interval(score.low, score.high) for score in scores]
    if content.primary != "balanced_accuracy":
        yield "balanced accuracy", [_value(family, "balanced_accuracy", ranked) for family in ranked.families]
    if spent:
        found = [spent.get(family) for family in ranked.families]
        yield "fit s", [NOT_RECORDED if cost is None else amount(cost.fit_s) for cost in found]
        yield "ms / image", [NOT_RECORDED if cost is None else amount(cost.latency_ms) for cost in found]


def _named(family: str, ranked: Ranked) -> str:
    told = {"ships": family == ranked.content.ships, NOT_APPLICABLE: not ranked.applies(family)}
    return " ".join([family, *(f"({words})" for words, so in told.items() if so)])


def _value(family: str, metric: str, ranked: Ranked) -> str:
    return ranked.value(family, metric) if ranked.applies(family) else NOT_RECORDED


def findings(content: ReportContent) -> str:
    """Return which audits have a finding, by their titles; empty where none has."""
    titles = [f"{title} ({audit})" for title, audit in open_findings(content).select("title", "audit").iter_rows()]
    return f"The audits found: {'; '.join(titles)}. What that means stands in the report." if titles else ""


def open_findings(content: ReportContent) -> pl.DataFrame:
    """Return the rows of `findings` in which an audit has found something, one an audit."""
    return content.table("findings").filter(outcome="finding").unique("audit").sort("audit")
