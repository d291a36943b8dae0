"""The section of a study of several tasks on what shows each: one thing alone, several together, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report.blocks import Cell, Column, Prose, Section, Table
from grandrounds.report.fusions import Fusion, better_than_chance, fusions, joint
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import listed, opened, share
from grandrounds.report.several_series import valued


def by_task(ranked: Ranked) -> Section | None:
    """Return for each of several tasks what shows it: a series or the columns alone, their fusion, a joint network."""
    if ranked.content.primary != "auc":
        return None  # of other metrics nobody knows what chance is
    alone = [(one, fusion) for one in map(Ranked.of, ranked.content.tasks) for fusion in _told_of(one)]
    if not alone:
        return None
    rows = tuple(_shown(one, fusion) for one, fusion in alone)
    columns = (
        Column("Task", numeric=False), Column("Alone", "better than chance", numeric=False),
        Column("Fused late", "95 % interval"), Column("Jointly", "the best such network"),
    )  # fmt: skip
    caption = f"{opened(METRICS.get('auc').label)} on the test role, of what reads one thing and of what reads all."
    words = tuple(f"{one.content.task.name}: {_in_short(one, fusion)}" for one, fusion in alone)
    return Section(
        "series-by-task", "What shows each task?", (Table(caption, columns, rows), Prose(words, listed=True))
    )


def _told_of(ranked: Ranked) -> Iterator[Fusion]:
    """Yield the late fusions of a task, beside which joint networks are told of; without any, the joint ones."""
    found = fusions(ranked)
    yield from [one for one in found if one.is_late] or found


def _shown(ranked: Ranked, fusion: Fusion) -> tuple[Cell, ...]:
    telling = [(one, family) for one, family in fusion.singles.items() if better_than_chance(ranked, family)]
    alone = [f"{one} {share(ranked.score(family, 'auc').estimate)}" for one, family in telling]
    jointly = next(iter(joint(ranked)), None)
    return (
        Cell(ranked.content.task.name), Cell(listed(alone) or "nothing"),
        valued(ranked.score(fusion.name, "auc")) if fusion.is_late else Cell(""),
        Cell("") if jointly is None else valued(ranked.score(jointly, "auc")),
    )  # fmt: skip


def _in_short(ranked: Ranked, fusion: Fusion) -> str:
    """Return in a sentence what shows a task, and what is not shown to."""
    alone = [one for one, family in fusion.singles.items() if better_than_chance(ranked, family)]
    silent = [one for one in fusion.singles if one not in alone]
    if alone:
        others = f"; of {listed(silent)} this is not shown" if silent else ""
        return f"{listed(alone)} alone {'is' if len(alone) == 1 else 'are each'} better than chance{others}."
    nothing = f"nothing alone ({listed(silent)}) is shown to be better than chance"
    if fusion.is_late and better_than_chance(ranked, fusion.name):
        return f"{nothing}; fused late they are."
    if jointly := [one for one in joint(ranked) if better_than_chance(ranked, one)]:
        reads, does = ("reads", "is") if len(jointly) == 1 else ("read", "are")
        late = ", nor is their late fusion" if fusion.is_late else ""
        return (
            f"{nothing}{late}; {listed(jointly)}, which {reads} the series jointly, {does}: they show it together only."
        )
    return f"{nothing}, nor is what reads several of them."
