"""The section on exams of several series: what fusing them gains, and what a missing series costs."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from grandrounds.evaluate.lacking import with_lacking
from grandrounds.report.blocks import Block, Cell, Column, Prose, Section, Table
from grandrounds.report.fusions import Fusion, alone, better_than_chance, fusing, fusions, joint
from grandrounds.report.ranked import Difference, Ranked, Score
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, listed, share, signed

_HOW = (
    "What reads several modalities has to gain over the best of them alone; that one is picked on these very cases, "
    "which favours it. A modality that was dealt out anew among the cases says nothing, so it must gain nothing."
)

_UNDEFINED = "Undefined: fewer than ten patients lack it, or have it, or all of them are of one class."


def several_series(ranked: Ranked) -> Section | None:
    """Return what each fusion gains over its modalities, and how cases that lack a series are read."""
    blocks: list[Block] = []
    for fusion in fusions(ranked):
        blocks += [_beside(ranked, fusion), Prose(tuple(_words(ranked, fusion)))]
    if blocks:
        blocks.insert(0, Prose((_HOW,)))
    if (lacking := _lacking(ranked)) is not None:
        blocks.append(lacking)
    return Section("several-series", "What does each series say?", tuple(blocks)) if blocks else None


def _beside(ranked: Ranked, fusion: Fusion) -> Table:
    """Return the fusion, its modalities alone and the control; beside a late one, networks that read all jointly."""
    reads = dict.fromkeys([fusion.name, *joint(ranked)] if fusion.is_late else [fusion.name], "all, jointly")
    if fusion.is_late:
        reads[fusion.name] = "all, fused late"
    reads |= {family: f"{one} alone" for one, family in fusion.singles.items()}
    reads |= {family: f"{one}, and {other} dealt out anew" for one, other, family in fusion.shuffled}
    rows = []
    for family in (name for name in ranked.families if name in reads):
        score, versus = ranked.score(family, ranked.content.primary), ranked.versus(fusion.name, family)
        rows.append((named(ranked, family), Cell(reads[family]), valued(score), *_compared(versus)))
    columns = (
        Column("Family", numeric=False), Column("Reads", numeric=False),
        Column(ranked.words(ranked.content.primary), "95 % interval"), Column(f"{_who(fusion)} gains", "95 % interval"),
        Column("Verdict", numeric=False),
    )  # fmt: skip
    return Table(f"{fusion.name} beside its modalities, best first.", columns, tuple(rows))


def valued(score: Score) -> Cell:
    """Return an estimate with its interval."""
    return Cell(share(score.estimate), interval(score.low, score.high))


def _compared(versus: Difference | None) -> tuple[Cell, Cell]:
    if versus is None:
        return Cell(""), Cell("")
    return Cell(signed(versus.difference), _span(versus)), Cell(versus.verdict)


def _span(versus: Difference) -> str:
    return "" if versus.low is None else f"{signed(versus.low)} to {signed(versus.high)}"


def _who(fusion: Fusion) -> str:
    return "The fusion" if fusion.is_late else "The network"


def _words(ranked: Ranked, fusion: Fusion) -> Iterator[str]:
    scored = [(one, family) for one, family in fusion.singles.items() if family in ranked.scored]
    if scored and fusion.name in ranked.scored:
        best, family = min(scored, key=lambda pair: ranked.scored.index(pair[1]))
        yield _gain(f"the best modality alone, {best}", ranked.versus(fusion.name, family), _who(fusion))
    for beside, other, family in fusion.shuffled:
        single = fusion.singles.get(beside)
        versus = ranked.versus(family, single) if single is not None else None
        if versus is not None:
            yield _nothing(beside, other, versus)
    if fusion.is_late:
        yield from _jointly_better(ranked, fusion)
    if ranked.content.primary == "auc":
        yield from _at_chance(ranked, fusion)


def _jointly_better(ranked: Ranked, fusion: Fusion) -> Iterator[str]:
    for one in joint(ranked):
        versus = ranked.versus(one, fusion.name)
        if versus is not None and versus.verdict == "better":
            text = f"{one} is better than the fusion by {signed(versus.difference)} ({_span(versus)})"
            together = ": the series show something together that none of them shows alone"
            yield f"{text}{together if _nothing_alone(ranked) else ''}."


def _nothing_alone(ranked: Ranked) -> bool:
    """Whether no modality alone is shown to be better than chance; of other metrics than AUC nobody knows chance."""
    if ranked.content.primary != "auc":
        return False
    return not any(better_than_chance(ranked, family) for family in alone(ranked).values())


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


def _at_chance(ranked: Ranked, fusion: Fusion) -> Iterator[str]:
    read = {_who(fusion).lower(): fusion.name} | fusion.singles
    scored = {one: family for one, family in read.items() if family in ranked.scored}
    silent = [one for one, family in scored.items() if not better_than_chance(ranked, family)]
    if silent:
        yield f"Not shown to be better than chance: {listed(silent)}."
    telling = [one for one in (joint(ranked) if fusion.is_late else [fusion.name]) if better_than_chance(ranked, one)]
    if telling and _nothing_alone(ranked) and not (fusion.is_late and better_than_chance(ranked, fusion.name)):
        yield f"Shown to be better than chance, reading all series jointly: {listed(telling)}."


def _lacking(ranked: Ranked) -> Table | None:
    """Return how many cases lack which series, and how those that do, and do not, are read."""
    facts, lacks = with_lacking(ranked.content.samples)
    if not lacks:
        return None
    families = fusing(ranked.families)
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
