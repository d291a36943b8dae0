"""Several tasks on one page: a chapter for each, and before them how the families stand from task to task."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from grandrounds.audits.protocol import counted
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.contrast import decisive
from grandrounds.report import cohort
from grandrounds.report.blocks import Cell, Column, Prose, Section, Table
from grandrounds.report.content import ReportContent
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import NOT_RECORDED, interval, listed, opened


@dataclass(frozen=True, slots=True)
class Chapter:
    """What stands on the page for one of several tasks.

    Args:
        anchor: Its name in addresses.
        title: Its heading.
        content: What it is made of.
        facts: Those under its heading.
        sections: What a page of its own would hold.
        page: Relative address of such a page, where only a part of it stands here; empty for none.
    """

    anchor: str
    title: str
    content: ReportContent
    facts: list[tuple[str, str]]
    sections: list[Section]
    page: str = ""


def by_task(ranked: Ranked) -> Section:
    """Return how each family stands in each task, who leads there, and what is corrected for."""
    alone = [Ranked.of(one) for one in ranked.content.tasks]
    tables = (_values(ranked, alone), _leaders(alone))
    return Section("tasks", "Task by task", (*tables, Prose(_corrected(ranked.content))))


def notes(ranked: Ranked) -> Section | None:
    """Return what a reader should know of the tasks together."""
    told = ranked.content.notes
    return Section("together", "The tasks together", (Prose(told, listed=True),)) if told else None


def _values(ranked: Ranked, alone: list[Ranked]) -> Table:
    """Return the primary metric of each family in each task, families in the order of the mean."""
    metric = ranked.content.primary
    columns = (Column("Family", numeric=False), *(Column(one.content.task.name, "95 % interval") for one in alone))
    everyone = dict.fromkeys((*ranked.families, *(family for one in alone for family in one.families)))
    looks = {family: one.looks[family] for one in reversed(alone) for family in one.families}
    rows = tuple(
        (Cell(family, mark=looks[family].key()), *(_valued(one, family) for one in alone)) for family in everyone
    )
    caption = f"{opened(METRICS.get(metric).label)} of each family in each task, in the order of the mean."
    return Table(caption, columns, rows)


def _valued(one: Ranked, family: str) -> Cell:
    if family not in one.families:
        return Cell(NOT_RECORDED, "did not read it")
    score = one.score(family, one.content.primary)
    return Cell(one.value(family, one.content.primary), interval(score.low, score.high))


def _leaders(alone: list[Ranked]) -> Table:
    """Return who leads in each task, and from whom the data cannot tell it."""
    columns = (
        Column("Task", numeric=False), Column("Positive", "patients"), Column("All", "patients"),
        Column("Leads", numeric=False), Column("Not beaten", "by the leader", numeric=False),
        Column("Audits found", numeric=False),
    )  # fmt: skip
    return Table("Who leads in each task, on the test role.", columns, tuple(_leader(one) for one in alone))


def _leader(one: Ranked) -> tuple[Cell, ...]:
    content, leader, positive = one.content, one.leader, positive_of(one.content.task)
    rows = content.predictions.filter(role="test")
    tied = [family for family in one.scored if family != leader and not _beaten(one, family)]
    return (
        Cell(
            content.task.name,
            f"positive: {positive}" if positive else f"{content.task.kind}, {len(one.classes)} classes",
        ),
        _counted(one, rows.filter(label=positive)) if positive else Cell(NOT_RECORDED),
        _counted(one, rows),
        Cell(leader or "nobody: undefined"),
        Cell((listed(tied) or "nobody") if leader else NOT_RECORDED),
        Cell(cohort.found(content.findings)),
    )


def _counted(one: Ranked, rows: pl.DataFrame) -> Cell:
    return Cell(cohort.patients(one, rows), counted(rows["sample"].n_unique(), "image"))


def _beaten(one: Ranked, family: str) -> bool:
    found = None if one.leader is None else one.versus(one.leader, family)
    return found is not None and found.verdict == "better"


def _corrected(content: ReportContent) -> tuple[str, ...]:
    """Return over what Holm's procedure runs, on the mean and in a task, and what it does not run over."""
    on_mean, *in_tasks = (decisive(one.comparisons).height for one in (content, *content.tasks))
    mean = "In the mean each task counts alike, and patients are drawn alike in every task."
    if not any(in_tasks):
        return (mean,)
    on_the_mean = f"Differences on the mean are adjusted for {counted(on_mean, 'comparison')}. " if on_mean else ""
    return (
        mean,
        on_the_mean
        + f"Those inside a task are adjusted for the comparisons of that task alone, {sum(in_tasks)} in all "
        "tasks together.",
        "Nothing corrects for looking into several tasks: where the mean was the question, who leads in one is a hint.",
    )
