"""What a report says first, for the terminal: the ranking as a table, and what the audits found in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from grandrounds.report.content import ReportContent
from grandrounds.report.costs import Cost, costs
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import NOT_RECORDED, amount, interval

if TYPE_CHECKING:
    from rich.table import Table


def ranking(content: ReportContent) -> Table:
    """Return the families, best first, with their intervals and costs."""
    from rich.table import Table  # noqa: PLC0415  (rich is imported only where something is printed)
    from rich.text import Text  # noqa: PLC0415

    ranked, spent = Ranked.of(content), costs(content.trials)
    title = " · ".join((content.title, *content.watermarks))
    table = Table(title=Text(title), caption=Text(f"{ranked.words(content.primary)} on the test role"))
    table.add_column("family", overflow="fold")  # cut short, two recipes of one network would be called alike
    priced = ("fit s", "ms / image") if spent else ()
    for name in (ranked.words(content.primary), "95 % interval", "balanced accuracy", *priced):
        table.add_column(Text(name), justify="right")
    for family in ranked.families:
        score, cost = ranked.score(family, content.primary), spent.get(family)
        cells = (
            family + (" (ships)" if family == content.ships else ""),
            ranked.value(family, content.primary),
            interval(score.low, score.high),
            ranked.value(family, "balanced_accuracy"),
            *_price(cost)[: len(priced)],
        )
        table.add_row(*map(Text, cells))  # `Text`: a name in square brackets is a name, not markup
    return table


def findings(content: ReportContent) -> str:
    """Return which audits have a finding, by their titles; empty where none has."""
    titles = [f"{title} ({audit})" for title, audit in open_findings(content).select("title", "audit").iter_rows()]
    return f"The audits found: {'; '.join(titles)}. What that means stands in the report." if titles else ""


def open_findings(content: ReportContent) -> pl.DataFrame:
    """Return the rows of `findings` in which an audit has found something, one an audit."""
    return content.table("findings").filter(outcome="finding").unique("audit").sort("audit")


def _price(cost: Cost | None) -> tuple[str, ...]:
    return (NOT_RECORDED, NOT_RECORDED) if cost is None else (amount(cost.fit_s), amount(cost.latency_ms))
