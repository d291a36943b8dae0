"""The verdict: who leads, who cannot be told from the leader, and which family ships, in words.

The test role decides what is said, the valid role which family ships: the best on valid, or the cheapest of those
within the margin of it. Only tables are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from grandrounds.evaluate.catalogue import MetricEntry, primary_for, spoken
from grandrounds.specs import Spec
from grandrounds.tables import Task


class Verdict(Spec):
    """The answer of a study.

    Args:
        primary: The metric that was declared.
        margin: Differences within this much count as equal.
        leader: Best estimate on test; None where the metric is undefined for all.
        better_than: Families that the leader is better than.
        equivalent_to: Families that differ from the leader by less than the margin.
        undecided_with: Families that the data cannot tell from the leader.
        cheapest: The least costly among the leader and those that are equivalent or undecided; None where costs are
            unknown.
        ships: Chosen on valid; None where there are no valid scores.
        no_better_than_floor: Family and floor, where the family was not shown to be better.
        sentences: All of it in words.
    """

    primary: str
    margin: float
    leader: str | None
    better_than: tuple[str, ...] = ()
    equivalent_to: tuple[str, ...] = ()
    undecided_with: tuple[str, ...] = ()
    cheapest: str | None = None
    ships: str | None = None
    no_better_than_floor: tuple[tuple[str, str], ...] = ()
    sentences: tuple[str, ...] = ()


def verdict(
    scores: pl.DataFrame,
    comparisons: pl.DataFrame,
    trials: pl.DataFrame,
    valid_scores: pl.DataFrame,
    task: Task,
    primary: str,
    margin: float,
    floors: Sequence[str],
) -> Verdict:
    """Return the answer, from tables alone.

    Args:
        scores: Table `scores` of the test role.
        comparisons: Table `comparisons` of the test role.
        trials: Table `trials`, for the costs; may be empty.
        valid_scores: Table `scores` of the valid role; may be empty, then nothing ships.
        task: What was to be told.
        primary: The metric that was declared.
        margin: Differences within this much count as equal.
        floors: Families that a useful one must beat.
    """
    entry = primary_for(task, primary)
    on_test, on_valid = _estimates(scores, primary), _estimates(valid_scores, primary)
    cost_s = _cost_s(trials)
    if not on_test:
        return Verdict(
            primary=primary, margin=margin, leader=None,
            sentences=(f"No family has a defined {spoken(entry, task)}: {_why(scores, primary)}.",),
        )  # fmt: skip
    unfinished = _unfinished(scores, trials)
    leader = _best({one: value for one, value in on_test.items() if one not in unfinished} or on_test, entry)
    words = {family: _against(comparisons, leader, family) for family in on_test if family != leader}
    tied = (family for family, word in words.items() if word in ("equivalent", "undecided"))
    near = [leader, *(family for family in tied if family not in floors and family not in unfinished)]
    candidates = {one: value for one, value in on_valid.items() if one not in floors and one not in unfinished}
    found = Verdict(
        primary=primary, margin=margin, leader=leader,
        better_than=_with(words, "better"), equivalent_to=_with(words, "equivalent"),
        undecided_with=_with(words, "undecided"),
        cheapest=min(near, key=lambda one: cost_s[one]) if all(one in cost_s for one in near) else None,
        ships=_ships(candidates, cost_s, entry, margin),
        no_better_than_floor=tuple(
            (family, floor)
            for floor in floors if floor in on_test
            for family in on_test
            if family not in floors and _against(comparisons, family, floor) != "better"
        ),
    )  # fmt: skip
    lines = (
        *_ranking(found, comparisons, scores, entry, task, floors),
        *_shipping(found, candidates, cost_s, words, entry),
        *(f"`{one}` did not finish every trial, so it neither leads nor ships." for one in unfinished),
    )
    return found.replaced(sentences=lines)


def _estimates(scores: pl.DataFrame, metric: str) -> dict[str, float]:
    rows = scores.filter(pl.col("metric") == metric, pl.col("label").is_null(), pl.col("estimate").is_not_null())
    return dict(rows.select("family", "estimate").iter_rows())


def _why(scores: pl.DataFrame, metric: str) -> str:
    notes = scores.filter(pl.col("metric") == metric, pl.col("label").is_null())["note"].drop_nulls().to_list()
    return notes[0] if notes else "there is no score"


def _cost_s(trials: pl.DataFrame) -> dict[str, float]:
    done = trials.filter(pl.col("status") != "failed")
    cost = (pl.col("fit_s") + pl.col("predict_s")).mean().alias("cost_s")
    return dict(done.group_by("family").agg(cost).drop_nulls().iter_rows())


def _best(estimates: dict[str, float], entry: MetricEntry) -> str:
    sign = 1 if entry.better == "higher" else -1
    return max(estimates, key=lambda family: sign * estimates[family])


def _against(comparisons: pl.DataFrame, a: str, b: str) -> str:
    """Return the verdict of a against b, whichever way round the table has the pair."""
    for one, other, turned in ((a, b, False), (b, a, True)):
        rows = comparisons.filter(pl.col("family_a") == one, pl.col("family_b") == other)
        if rows.height:
            word = str(rows["verdict"][0])
            return {"better": "worse", "worse": "better"}.get(word, word) if turned else word
    return "undecided"


def _unfinished(scores: pl.DataFrame, trials: pl.DataFrame) -> tuple[str, ...]:
    """Return the families that lack trials or samples that others have: their scores rest on other cases."""
    failed = set(trials.filter(pl.col("status") == "failed")["family"])
    n_samples = scores.group_by("family", maintain_order=True).agg(pl.col("n_samples").max())
    fewer = set(n_samples.filter(pl.col("n_samples") < n_samples["n_samples"].max())["family"])
    return tuple(family for family in n_samples["family"] if family in failed | fewer)


def _with(words: dict[str, str], word: str) -> tuple[str, ...]:
    return tuple(family for family, one in words.items() if one == word)


def _ships(candidates: dict[str, float], cost_s: dict[str, float], entry: MetricEntry, margin: float) -> str | None:
    """Return the cheapest of the candidates within the margin of the best of them on valid."""
    if not candidates:
        return None
    best = _best(candidates, entry)
    close = [family for family, value in candidates.items() if abs(value - candidates[best]) <= margin]
    return min(close, key=lambda family: (cost_s.get(family, float("inf")), family != best))


def _within(comparisons: pl.DataFrame, found: Verdict) -> tuple[str, ...]:
    """Return the families that the leader is better than by less than the margin, the whole interval through."""
    inside = comparisons.filter(pl.max_horizontal(pl.col("low").abs(), pl.col("high").abs()) < found.margin)
    pairs = {frozenset(pair) for pair in inside.select("family_a", "family_b").iter_rows()}
    return tuple(family for family in found.better_than if {found.leader, family} in pairs)


def _ranking(
    found: Verdict,
    comparisons: pl.DataFrame,
    scores: pl.DataFrame,
    entry: MetricEntry,
    task: Task,
    floors: Sequence[str],
) -> Iterator[str]:
    row = scores.filter(
        pl.col("metric") == entry.name, pl.col("label").is_null(), pl.col("family") == found.leader
    ).row(0, named=True)
    span = f" (95 % interval {row['low']:.3f} to {row['high']:.3f})" if row["low"] is not None else ""
    yield (
        f"On the primary metric ({spoken(entry, task)}) `{found.leader}` leads with {row['estimate']:.3f}{span} "
        f"on {row['n_samples']} test samples"
        + (f" of {row['n_patients']} patients." if row["n_patients"] is not None else "; the patients are unknown.")
    )
    undefined = tuple(name for name in dict.fromkeys(scores["family"]) if name not in _estimates(scores, entry.name))
    if undefined:
        yield f"It is undefined for {_listed(undefined)}."
    parts = []
    if found.better_than:
        parts.append(f"it is better than {_listed(found.better_than)}")
    if found.equivalent_to:
        parts.append(f"it is equivalent, within {found.margin:g}, to {_listed(found.equivalent_to)}")
    if found.undecided_with:
        parts.append(f"the data cannot tell it from {_listed(found.undecided_with)}")
    if parts:
        text = "; ".join(parts)
        yield f"{text[0].upper()}{text[1:]}."
    if close := _within(comparisons, found):
        yield f"Over {_listed(close)} the lead is real but smaller than {found.margin:g}, the margin that matters."
    if found.leader in floors:
        yield f"`{found.leader}` is a floor: no family that looks at the images in full did better."
    for floor in dict.fromkeys(floor for _, floor in found.no_better_than_floor):
        below = tuple(family for family, one in found.no_better_than_floor if one == floor)
        yield f"Not shown to be better than the floor `{floor}`: {_listed(below)}."


def _shipping(
    found: Verdict, candidates: dict[str, float], cost_s: dict[str, float], words: dict[str, str], entry: MetricEntry
) -> Iterator[str]:
    if found.cheapest and (found.equivalent_to or found.undecided_with):
        yield (
            f"Cost decides among the equivalent and the undecided: the cheapest is `{found.cheapest}` "
            f"({cost_s[found.cheapest]:.2g} s a trial to fit and predict)."
        )
    if found.ships is None:
        return
    best = found.ships == _best(candidates, entry)
    reason = "the best on valid" if best else f"the cheapest within {found.margin:g} of the best on valid"
    yield f"`{found.ships}` ships: {reason} ({candidates[found.ships]:.3f}), chosen without looking at test."
    if found.ships in words:
        yield {
            "better": f"But `{found.leader}` is better on test: valid and test disagree.",
            "equivalent": f"On test it is equivalent to the leader `{found.leader}`.",
        }.get(words[found.ships], f"On test the data cannot tell it from the leader `{found.leader}`.")


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
