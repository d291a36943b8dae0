"""The sections that rank: who leads, by how much, at what price, and what others published."""

from __future__ import annotations

import math
from collections.abc import Mapping

from grandrounds.audits.protocol import counted
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.contrast import decisive
from grandrounds.report import plots
from grandrounds.report.blocks import Cell, Column, Folded, Panels, Prose, Section, Table
from grandrounds.report.costs import Cost, costs
from grandrounds.report.ranked import Difference, Ranked
from grandrounds.report.rounding import NOT_RECORDED, amount, count, interval, opened, p_value, signed

_BESIDE = ("balanced_accuracy", "accuracy", "brier", "ece")  # shown beside the primary metric where computed


def ranking(ranked: Ranked) -> Section:
    """Return the families with their values, intervals and costs, best first."""
    content, unit = ranked.content, ranked.unit
    if not ranked.families:
        return Section("ranking", "Ranking", (Prose(("There are no scores to show.",)),))
    beside = tuple(name for name in _BESIDE if name != content.primary and ranked.has(name))
    values = [ranked.score(family, content.primary) for family in ranked.families]
    axis = plots.strip_axis(end for value in values for end in value[:3])
    spent = costs(content.trials)
    columns = (
        Column("Family", numeric=False),
        Column(opened(ranked.words(content.primary)), "95 % interval"),
        Column(plots.strip_scale(axis), numeric=False),
        *(Column(opened(ranked.words(name)), f"{METRICS.get(name).better} is better") for name in beside),
        *(
            (Column("Fit", "s"), Column("Predict", "ms, one image alone"), Column("Parameters"), Column("Peak", "MiB"))
            if spent
            else ()
        ),
    )
    rows = []
    for family, value in zip(ranked.families, values, strict=True):
        drawn = plots.strip(value, axis, ranked.looks[family])
        cells = (
            _valued(ranked, family, content.primary),
            Cell(drawn),
            *(_valued(ranked, family, name) for name in beside),
        )
        rows.append((named(ranked, family), *cells, *(_price(spent.get(family)) if spent else ())))
    caption = f"Families, best first, on {ranked.tested_on}, one value per {unit}." + (
        " Costs are medians over the trials." if spent else ""
    )
    table = Table(caption, columns, tuple(rows), ranked.reasons((content.primary, *beside)))
    return Section("ranking", "Ranking", (table, *_assumed(ranked)))


def differences(ranked: Ranked) -> Section | None:
    """Return how every family differs from the leader, and the matrix of all pairs."""
    leader, content = ranked.leader, ranked.content
    if leader is None or decisive(content.comparisons).is_empty():
        return None
    against = [(one, ranked.versus(leader, one)) for one in ranked.scored if one != leader]
    pairs = [(one, found) for one, found in against if found is not None]
    ends = [end for _, found in pairs for end in found[:3]]
    axis = plots.strip_axis([*ends, 0.0, content.margin, -content.margin])
    columns = (
        Column("Family", numeric=False),
        Column("Difference", f"{leader} minus family"),
        Column(plots.strip_scale(axis), numeric=False),
        Column("p", "adjusted"),
        Column("Verdict", numeric=False),
    )
    rows = tuple(
        (
            named(ranked, one),
            Cell(signed(found.difference), interval(found.low, found.high)),
            Cell(plots.strip(found, axis, ranked.looks[one], zero=True, margin=content.margin)),
            Cell(p_value(found.p_adjusted)),
            Cell(_verdict_words(leader, one, found.verdict)),
        )
        for one, found in pairs
    )
    caption = (
        f"Paired differences in {ranked.words(content.primary)} between {leader}, which leads, and each other family. "
        f"The shaded band is the margin of ±{content.margin:g}."
    )
    matrix = Folded("Every pair of families", (_matrix(ranked),))
    return Section(
        "differences", "Is the difference real?", (Table(caption, columns, rows), _verdict_key(ranked), matrix)
    )


def price_and_value(ranked: Ranked) -> Section | None:
    """Return cost against quality, with the families that no cheaper one reaches."""
    content, spent = ranked.content, costs(ranked.content.trials)
    rows = [
        (family, cost.all_fit_s, ranked.score(family, content.primary), ranked.looks[family])
        for family in ranked.scored
        if (cost := spent.get(family)) is not None and cost.all_fit_s > 0
    ]
    if len(rows) < 2:
        return None
    sign = 1 if METRICS.get(content.primary).better == "higher" else -1
    front = front_of({family: (cost, sign * (score.estimate or 0.0)) for family, cost, score, _ in rows})
    drawn = plots.price_and_value(rows, front, "seconds of training, all trials", ranked.words(content.primary))
    caption = (
        "What each family costs and what it reaches, with 95 % intervals. The dotted line joins the families that no "
        f"cheaper one reaches: {', '.join(front)}."
    )
    return Section("price", "Is it worth its price?", (Panels(caption, (drawn,), wide=True),))


def front_of(places: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names on the Pareto front, cheapest first.

    Args:
        places: Name to cost and value; of a value more is better.

    >>> front_of({"a": (1.0, 0.5), "b": (2.0, 0.4), "c": (3.0, 0.9)})
    ['a', 'c']
    """
    front: list[str] = []
    best = -math.inf
    for name, (_, value) in sorted(places.items(), key=lambda one: (one[1][0], -one[1][1])):
        if value > best:
            front.append(name)
            best = value
    return front


def cost_table(ranked: Ranked) -> Section | None:
    """Return what each family took to train, to keep and to use."""
    spent = costs(ranked.content.trials)
    if not spent:
        return None
    columns = (
        Column("Family", numeric=False), Column("Trials"), Column("Fit", "s, median"), Column("Fit", "s, all trials"),
        Column("Epochs", "kept / made"), Column("Epoch", "s"), Column("Predict", "s, median"),
        Column("Predict", "ms, one image alone"), Column("Parameters"), Column("Size"), Column("Peak memory", "MiB"),
        Column("Threads"),
    )  # fmt: skip
    rows = tuple(
        (named(ranked, family), *(Cell(words) for words in spent[family].cells()))
        for family in ranked.families
        if family in spent
    )
    caption = "Cost of each family. Memory is the resident memory of the process that ran the trial."
    return Section("cost", "What it costs", (Table(caption, columns, rows),))


def published(ranked: Ranked) -> Section | None:
    """Return the results of others beside the leader's."""
    content, leader = ranked.content, ranked.leader
    if not content.published or leader is None:
        return None
    columns = (
        Column("Method", numeric=False), Column("Metric", numeric=False), Column("Published"),
        Column("Here", leader), Column("Source", numeric=False),
    )  # fmt: skip
    rows = tuple(
        (
            Cell(one.method),
            Cell(ranked.words(one.metric)),
            Cell(f"{one.value:g}"),
            _valued(ranked, leader, one.metric),
            Cell(one.source),
        )
        for one in content.published
    )
    part = ", ".join(dict.fromkeys(content.samples["body_part"].drop_nulls().str.to_lowercase()))
    what = ", ".join(word for word in (content.task.condition, part) if word)
    caption = f"Published results on the same set{f' ({what})' if what else ''}; {_unlike(ranked)}."
    return Section("published", "What others published", (Table(caption, columns, rows),))


def _unlike(ranked: Ranked) -> str:
    """Return why published results and ours may not compare."""
    if ranked.scheme == "inside":
        return "they were found on the official test role, which stayed closed here, so that the two do not compare"
    return "splits, sizes and budgets may differ"


def named(ranked: Ranked, family: str) -> Cell:
    """Return the cell that names a family: its key, its name, and whether it is a floor or ships."""
    content = ranked.content
    tag = "ships" if family == content.ships else "floor" if family in content.floors else ""
    return Cell(family, mark=ranked.looks[family].key(), tag=tag)


def _valued(ranked: Ranked, family: str, metric: str) -> Cell:
    score = ranked.score(family, metric)
    return Cell(ranked.value(family, metric), interval(score.low, score.high))


def _price(cost: Cost | None) -> tuple[Cell, ...]:
    if cost is None:
        return (Cell(NOT_RECORDED),) * 4
    return (
        Cell(amount(cost.fit_s)),
        Cell(amount(cost.latency_ms)),
        Cell(count(cost.n_parameters)),
        Cell(amount(cost.peak_mib)),
    )


def _matrix(ranked: Ranked) -> Table:
    columns = (Column("Row minus column", numeric=False), *(Column(family) for family in ranked.scored))
    rows = tuple(
        (named(ranked, a), *(_pair(ranked.versus(a, b) if a != b else None) for b in ranked.scored))
        for a in ranked.scored
    )
    return Table(
        f"Differences in {ranked.words(ranked.content.primary)} and verdicts, row minus column.", columns, rows
    )


def _pair(found: Difference | None) -> Cell:
    return Cell(NOT_RECORDED) if found is None else Cell(signed(found.difference), found.verdict)


def _verdict_words(leader: str, family: str, verdict: str) -> str:
    words = {
        "better": f"{leader} is better",
        "worse": f"{family} is better",
        "equivalent": "equivalent",
        "undecided": "undecided",
    }
    return words.get(verdict, verdict)


def _verdict_key(ranked: Ranked) -> Prose:
    margin = f"±{ranked.content.margin:g}"
    sentence = (
        f"Better: the interval, adjusted for {_adjusted(ranked)}, excludes zero. "
        f"Equivalent: it lies inside the margin of {margin}. Undecided: these data cannot tell."
    )
    return Prose((sentence,))


def _adjusted(ranked: Ranked) -> str:
    """Return over what Holm's procedure runs."""
    content = ranked.content
    if content.n_tasks == 1:
        return "the number of comparisons"
    told = counted(decisive(content.comparisons).height, "comparison")
    return f"{told} on the mean over the tasks" if content.tasks else f"{told} in this task and not for the other tasks"


def _assumed(ranked: Ranked) -> tuple[Prose, ...]:
    return (Prose(ranked.content.assumptions, listed=True),) if ranked.content.assumptions else ()
