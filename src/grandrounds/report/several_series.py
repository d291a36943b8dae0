"""The section on exams of several series: what fusing them gains, and what a missing series costs.

A fusion and its controls are known by their names: `fusion:…@only-axial` reads one modality, and
`fusion:…@axial-shuffled-columns` reads another one beside it that was dealt out anew among the cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import polars as pl

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.lacking import with_lacking
from grandrounds.report.blocks import Block, Cell, Column, Prose, Section, Table
from grandrounds.report.ranked import Difference, Ranked, Score
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, listed, opened, share, signed

_ONLY = re.compile(r"(fusion:.+)@only-(.+)")
_SHUFFLED = re.compile(r"(fusion:.+)@(.+)-shuffled-(.+)")
_JOINT = "exams:"
_CHANCE = 0.5  # AUC of guessing
_HOW = (
    "A fusion has to gain over the best of its modalities alone; that one is picked on these very cases, which favours "
    "it. A modality that was dealt out anew among the cases says nothing, so it must gain nothing."
)

_UNDEFINED = "Undefined: fewer than ten patients lack it, or have it, or all of them are of one class."


class _Fusion(NamedTuple):
    """A fusion, its modalities alone by their names, and controls with a modality dealt out anew."""

    name: str
    singles: dict[str, str]
    shuffled: tuple[tuple[str, str, str], ...]  # beside which modality, which one, the family


def shuffled(families: Iterable[str]) -> tuple[str, ...]:
    """Return the families that are controls with a modality dealt out anew.

    >>> shuffled(["prior", "fusion:resnet-18", "fusion:resnet-18@images-shuffled-columns"])
    ('fusion:resnet-18@images-shuffled-columns',)
    """
    return tuple(name for name in families if _SHUFFLED.fullmatch(name))


def several_series(ranked: Ranked) -> Section | None:
    """Return what each fusion gains over its modalities, and how cases that lack a series are read."""
    blocks: list[Block] = []
    for fusion in _fusions(ranked):
        blocks += [_beside(ranked, fusion), Prose(tuple(_words(ranked, fusion)))]
    if blocks:
        blocks.insert(0, Prose((_HOW,)))
    if (lacking := _lacking(ranked)) is not None:
        blocks.append(lacking)
    return Section("several-series", "What does each series say?", tuple(blocks)) if blocks else None


def by_task(ranked: Ranked) -> Section | None:
    """Return for each of several tasks what shows it: a series or the columns alone, their fusion, a joint network."""
    if ranked.content.primary != "auc":
        return None  # of other metrics nobody knows what chance is
    alone = [(one, fusion) for one in map(Ranked.of, ranked.content.tasks) for fusion in _fusions(one)]
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


def _shown(ranked: Ranked, fusion: _Fusion) -> tuple[Cell, ...]:
    alone = [f"{one} {share(ranked.score(family, 'auc').estimate)}" for one, family in _telling(ranked, fusion.singles)]
    joint = next(iter(_joint(ranked)), None)
    return (
        Cell(ranked.content.task.name), Cell(listed(alone) or "nothing"), _valued(ranked.score(fusion.name, "auc")),
        Cell("") if joint is None else _valued(ranked.score(joint, "auc")),
    )  # fmt: skip


def _telling(ranked: Ranked, families: dict[str, str]) -> list[tuple[str, str]]:
    """Return those whose family is shown to be better than chance, by what they are called."""
    return [(one, family) for one, family in families.items() if (ranked.score(family, "auc").low or 0) > _CHANCE]


def _in_short(ranked: Ranked, fusion: _Fusion) -> str:
    """Return in a sentence what shows a task, and what is not shown to."""
    alone = [one for one, _ in _telling(ranked, fusion.singles)]
    silent = [one for one in fusion.singles if one not in alone]
    if alone:
        others = f"; of {listed(silent)} this is not shown" if silent else ""
        return f"{listed(alone)} alone {'is' if len(alone) == 1 else 'are each'} better than chance{others}."
    fused, joint = _telling(ranked, {"fusion": fusion.name}), _telling(ranked, {one: one for one in _joint(ranked)})
    nothing = f"nothing alone ({listed(silent)}) is shown to be better than chance"
    if fused:
        return f"{nothing}; fused late they are."
    if joint:
        who, does = listed([one for one, _ in joint]), ("reads", "is") if len(joint) == 1 else ("read", "are")
        return (
            f"{nothing}, nor is their late fusion; {who}, which {does[0]} the series jointly, {does[1]}: they show it "
            "together only."
        )
    return f"{nothing}, nor is what reads several of them."


def _fusions(ranked: Ranked) -> Iterator[_Fusion]:
    names = sorted(ranked.families)
    only = [found for found in map(_ONLY.fullmatch, names) if found]
    mixed = [found for found in map(_SHUFFLED.fullmatch, names) if found]
    for name in dict.fromkeys(found[1] for found in only):
        singles = {found[2]: found[0] for found in only if found[1] == name}
        yield _Fusion(name, singles, tuple((found[2], found[3], found[0]) for found in mixed if found[1] == name))


def _joint(ranked: Ranked) -> list[str]:
    return [name for name in ranked.scored if name.startswith(_JOINT)]


def _beside(ranked: Ranked, fusion: _Fusion) -> Table:
    """Return the fusion, its modalities alone, the control and networks that read all series jointly."""
    reads = {fusion.name: "all, fused late"} | {family: f"{one} alone" for one, family in fusion.singles.items()}
    reads |= {family: f"{one}, and {other} dealt out anew" for one, other, family in fusion.shuffled}
    reads |= dict.fromkeys(_joint(ranked), "all series, jointly")
    rows = []
    for family in (name for name in ranked.families if name in reads):
        score, versus = ranked.score(family, ranked.content.primary), ranked.versus(fusion.name, family)
        rows.append((named(ranked, family), Cell(reads[family]), _valued(score), *_compared(versus)))
    columns = (
        Column("Family", numeric=False), Column("Reads", numeric=False),
        Column(ranked.words(ranked.content.primary), "95 % interval"), Column("The fusion gains", "95 % interval"),
        Column("Verdict", numeric=False),
    )  # fmt: skip
    return Table(f"{fusion.name} beside its modalities, best first.", columns, tuple(rows))


def _valued(score: Score) -> Cell:
    return Cell(share(score.estimate), interval(score.low, score.high))


def _compared(versus: Difference | None) -> tuple[Cell, Cell]:
    if versus is None:
        return Cell(""), Cell("")
    return Cell(signed(versus.difference), _span(versus)), Cell(versus.verdict)


def _span(versus: Difference) -> str:
    return "" if versus.low is None else f"{signed(versus.low)} to {signed(versus.high)}"


def _words(ranked: Ranked, fusion: _Fusion) -> Iterator[str]:
    scored = [(one, family) for one, family in fusion.singles.items() if family in ranked.scored]
    if scored and fusion.name in ranked.scored:
        best, family = min(scored, key=lambda pair: ranked.scored.index(pair[1]))
        yield _gain(f"the best modality alone, {best}", ranked.versus(fusion.name, family), "The fusion")
    for beside, other, family in fusion.shuffled:
        alone = fusion.singles.get(beside)
        versus = ranked.versus(family, alone) if alone is not None else None
        if versus is not None:
            yield _nothing(beside, other, versus)
    for joint in _joint(ranked):
        versus = ranked.versus(joint, fusion.name)
        if versus is not None and versus.verdict == "better":
            yield (
                f"{joint} is better than the fusion by {signed(versus.difference)} ({_span(versus)}): the series show "
                "something together that none of them shows alone."
            )
    if ranked.content.primary == "auc":
        yield from _at_chance(ranked, {fusion.name: "the fusion"} | {name: one for one, name in fusion.singles.items()})


def _gain(over: str, versus: Difference | None, who: str) -> str:
    if versus is None or versus.difference is None:
        return f"{who} could not be compared with {over}."
    text = f"{who} differs from {over}, by {signed(versus.difference)} ({_span(versus)})"
    if versus.verdict == "better":
        return f"{text}: the gain is real."
    if versus.verdict == "worse":
        return f"{text}: it is worse."
    return f"{text}: no gain is shown."


def _nothing(beside: str, other: str, versus: Difference) -> str:
    text = f"Beside {beside}, {other} dealt out anew gains {signed(versus.difference)} ({_span(versus)})"
    if versus.verdict == "better":
        return f"{text}: it should gain nothing, so look for a leak before believing any gain here."
    return f"{text}: no gain is shown, as it should be."


def _at_chance(ranked: Ranked, names: dict[str, str]) -> Iterator[str]:
    found = []
    for family, words in names.items():
        low = ranked.score(family, "auc").low
        if low is not None and low <= _CHANCE:
            found.append(words)
    if found:
        yield f"Not shown to be better than chance: {listed(found)}."
    better = [name for name in _joint(ranked) if (ranked.score(name, "auc").low or 0) > _CHANCE]
    if better and len(found) == len(names):
        yield f"Shown to be better than chance, reading all series jointly: {listed(better)}."


def _lacking(ranked: Ranked) -> Table | None:
    """Return how many cases lack which series, and how those that do, and do not, are read."""
    facts, lacks = with_lacking(ranked.content.samples)
    if not lacks:
        return None
    families = [one for one in ranked.families if one.startswith(("fusion:", _JOINT)) and "@" not in one]
    sliced = ranked.content.scores.filter(pl.col("metric") == ranked.content.primary, pl.col("label").is_null())
    rows = []
    for column in lacks:
        for value in ("yes", "no"):
            part = facts.filter(pl.col(column) == value)
            cells = [_of_slice(sliced, family, f"{column}: {value}") for family in families]
            word = column if value == "yes" else column.replace("lacks", "has", 1).replace("any series", "every series")
            rows.append((Cell(word), Cell(count(part["case"].n_unique())), *cells))
    heads = (Column(name, "95 % interval") for name in families)
    caption = f"Missing series: cases in all, and {ranked.words(ranked.content.primary)} on those of test."
    return Table(caption, (Column("Cases", numeric=False), Column("How many"), *heads), tuple(rows), (_UNDEFINED,))


def _of_slice(scores: pl.DataFrame, family: str, name: str) -> Cell:
    found = scores.filter(pl.col("family") == family, pl.col("slice") == name)
    if found.is_empty():
        return Cell(share(None))
    row = found.row(0, named=True)
    return Cell(share(row["estimate"]), interval(row["low"], row["high"]))
