"""The section of a study of several tasks on what shows each: one thing alone, several together, or nothing."""

from __future__ import annotations

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report.blocks import Cell, Column, Prose, Section, Table
from grandrounds.report.fusions import alone, better_than_chance, joint, late
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import listed, opened, share
from grandrounds.report.several_series import valued


def by_task(ranked: Ranked) -> Section | None:
    """Return for each of several tasks what shows it: a series or the columns alone, their fusion, a joint network."""
    if ranked.content.primary != "auc":
        return None  # of other metrics nobody knows what chance is
    tasks = [one for one in map(Ranked.of, ranked.content.tasks) if alone(one)]
    if not tasks:
        return None
    columns = (
        Column("Task", numeric=False), Column("Alone", "better than chance", numeric=False),
        Column("Fused late", "the best fusion"), Column("Jointly", "the best such network"),
    )  # fmt: skip
    caption = f"{opened(METRICS.get('auc').label)} on the test role, of what reads one thing and of what reads all."
    words = tuple(f"{one.content.task.name}: {_in_short(one)}" for one in tasks)
    table = Table(caption, columns, tuple(map(_shown, tasks)))
    return Section("series-by-task", "What shows each task?", (table, Prose(words, listed=True)))


def _shown(ranked: Ranked) -> tuple[Cell, ...]:
    telling = [(one, family) for one, family in alone(ranked).items() if better_than_chance(ranked, family)]
    said = [f"{one} {share(ranked.score(family, 'auc').estimate)}" for one, family in telling]
    best = [next(iter(found), None) for found in (late(ranked), joint(ranked))]
    values = (Cell("") if one is None else valued(ranked.score(one, "auc")) for one in best)
    return (Cell(ranked.content.task.name), Cell(listed(said) or "nothing"), *values)


def _in_short(ranked: Ranked) -> str:
    """Return in a sentence what shows a task, and what is not shown to."""
    singles = alone(ranked)
    telling = [one for one, family in singles.items() if better_than_chance(ranked, family)]
    silent = [one for one in singles if one not in telling]
    if telling:
        others = f"; of {listed(silent)} this is not shown" if silent else ""
        return f"{listed(telling)} alone {'is' if len(telling) == 1 else 'are each'} better than chance{others}."
    nothing = f"nothing alone ({listed(silent)}) is shown to be better than chance"
    if any(better_than_chance(ranked, one) for one in late(ranked)):
        return f"{nothing}; fused late they are."
    if jointly := [one for one in joint(ranked) if better_than_chance(ranked, one)]:
        reads, does = ("reads", "is") if len(jointly) == 1 else ("read", "are")
        fused = ", nor is their late fusion" if late(ranked) else ""
        return (
            f"{nothing}{fused}; {listed(jointly)}, which {reads} the series jointly, {does}: they show it together "
            "only."
        )
    return f"{nothing}, nor is what reads several of them."
