"""The verdict: who leads, who cannot be told from the leader, and which family ships, in words.

The test role decides what is said, the valid role which family ships (`shipping`). Only tables are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import cast

import polars as pl

from grandrounds.evaluate.answer import Reach, Selection, Verdict
from grandrounds.evaluate.catalogue import MetricEntry, primary_for, spoken
from grandrounds.evaluate.contrast import decisive, judged
from grandrounds.evaluate.power import POWER, detectable, patients_needed
from grandrounds.evaluate.shipping import Choice, against, best_of, calibration, choice
from grandrounds.tables import Task, Unit
from grandrounds.wording import percent

__all__ = ["Reach", "Selection", "Verdict", "verdict"]


def verdict(
    scores: pl.DataFrame,
    comparisons: pl.DataFrame,
    trials: pl.DataFrame,
    valid_scores: pl.DataFrame,
    task: Task,
    primary: str,
    margin: float,
    floors: Sequence[str],
    *,
    valid_comparisons: pl.DataFrame | None = None,
    selection: Selection | None = None,
    readers: Collection[str] = (),
) -> Verdict:
    """Return the answer, from tables alone.

    Args:
        scores: Table `scores` of the test role.
        comparisons: Table `comparisons` of the test role.
        trials: Table `trials`, for the costs; may be empty.
        valid_scores: Table `scores` of valid, calibration as the families would ship; empty, and nothing ships.
        task: What was to be told.
        primary: The metric that was declared.
        margin: Differences within this much count as equal.
        floors: Families that a useful one must beat.
        valid_comparisons: Table `comparisons` of the valid role; None for all undecided.
        selection: The leader's score corrected for the picking.
        readers: Families that are human readers: they may lead, and never ship.
    """
    entry = primary_for(task, primary)
    comparisons, scores = decisive(comparisons), judged(scores, comparisons)
    valid_scores = judged(valid_scores, comparisons.clear() if valid_comparisons is None else valid_comparisons)
    on_test, on_valid = _estimates(scores, primary), _estimates(valid_scores, primary)
    if not on_test:
        return Verdict(primary=primary, margin=margin, leader=None, sentences=(_undefined(scores, entry, task),))
    unfinished = _unfinished(scores, trials)
    leader = best_of({one: value for one, value in on_test.items() if one not in unfinished} or on_test, entry)
    words = {family: against(comparisons, leader, family) for family in on_test if family != leader}
    cost_s, calibrated = _cost_s(trials), calibration(valid_scores, task)
    barred = {*floors, *unfinished, *readers}
    candidates = {one: value for one, value in on_valid.items() if one not in barred}
    rivals = {one: on_test[one] for one in on_test if one not in barred and (not candidates or one in candidates)}
    chosen = choice(candidates, valid_comparisons, cost_s, calibrated, entry, margin)
    by_test = choice(rivals, comparisons, cost_s, calibrated, entry, margin)
    found = Verdict(
        primary=primary, margin=margin, unit=cast("Unit", scores["unit"].fill_null("sample")[0]), leader=leader,
        better_than=_with(words, "better"), equivalent_to=_with(words, "equivalent"),
        undecided_with=_with(words, "undecided"),
        cheapest=_cheapest(by_test, cost_s), ships=chosen.family if chosen else None,
        miscalibrated=tuple(one for one, good in calibrated.items() if not good),
        reach=tuple(_reach(comparisons, scores, entry, leader, margin)), selection=selection,
        no_better_than_floor=tuple(_no_better(comparisons, tuple(on_test), floors)),
    )  # fmt: skip
    return found.replaced(sentences=(
        *_ranking(found, comparisons, scores, entry, task, floors),
        *_power(found, floors),
        *(_by_cost(found, by_test, cost_s) if by_test else ()),
        *(_shipping(found, chosen, by_test, candidates, words) if chosen else ()),
        *_barred(unfinished, [one for one in readers if one in on_valid]),
    ))  # fmt: skip


def _cheapest(by_test: Choice | None, cost_s: dict[str, float]) -> str | None:
    """Return whom the rule names on test; None where a cost that would have to decide is unknown."""
    return by_test.family if by_test is not None and set(by_test.usable) <= set(cost_s) else None


def _no_better(comparisons: pl.DataFrame, families: Sequence[str], floors: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield family and floor where the family was not shown to be better."""
    for floor in floors:
        if floor in families:
            others = (one for one in families if one not in floors)
            yield from ((one, floor) for one in others if against(comparisons, one, floor) != "better")


def _reach(
    comparisons: pl.DataFrame, scores: pl.DataFrame, entry: MetricEntry, leader: str, margin: float
) -> Iterator[Reach]:
    """Yield what the set could have shown of the leader and each family that it was compared with."""
    if "error" not in comparisons.columns:
        return
    up, length = _up(scores, entry), entry.scale[1] - entry.scale[0] if entry.carried_by else 1.0
    sizes = {family: size for family, *size in scores.select("family", "n_patients", "n_samples").iter_rows()}
    for a, b, error in comparisons.select("family_a", "family_b", "error").iter_rows():
        other = b if a == leader else a
        if leader in (a, b) and other in sizes and error:  # without an error the two never differed
            n_patients, n_samples = sizes[other]
            known = error / length, n_patients or n_samples
            tests, shares = comparisons.height, (up[leader], up[other]) if up else None
            yield Reach(
                family=other, n_tests=tests, detectable=length * detectable(*known, tests, shares),
                n_patients=n_patients, n_samples=n_samples,
                needed=patients_needed(*known, margin / length, tests, shares) if margin else None,
            )  # fmt: skip


def _up(scores: pl.DataFrame, entry: MetricEntry) -> dict[str, float]:
    """Return how far each family is from the worse end of the metric's scale to the better; empty without ends."""
    if entry.carried_by is None:
        return {}
    worst, best = entry.scale if entry.better == "higher" else reversed(entry.scale)
    return {family: (value - worst) / (best - worst) for family, value in _estimates(scores, entry.name).items()}


def _estimates(scores: pl.DataFrame, metric: str) -> dict[str, float]:
    rows = scores.filter(pl.col("metric") == metric, pl.col("label").is_null(), pl.col("estimate").is_not_null())
    return dict(rows.select("family", "estimate").iter_rows())


def _undefined(scores: pl.DataFrame, entry: MetricEntry, task: Task) -> str:
    notes = scores.filter(pl.col("metric") == entry.name, pl.col("label").is_null())["note"].drop_nulls().to_list()
    return f"No family has a defined {spoken(entry, task)}: {notes[0] if notes else 'there is no score'}."


def _cost_s(trials: pl.DataFrame) -> dict[str, float]:
    done = trials.filter(pl.col("status") != "failed")
    cost = (pl.col("fit_s") + pl.col("predict_s")).mean().alias("cost_s")
    return dict(done.group_by("family").agg(cost).drop_nulls().iter_rows())


def _unfinished(scores: pl.DataFrame, trials: pl.DataFrame) -> tuple[str, ...]:
    """Return the families that lack trials or samples that others have: their scores rest on other cases."""
    failed = set(trials.filter(pl.col("status") == "failed")["family"])
    n_samples = scores.group_by("family", maintain_order=True).agg(pl.col("n_samples").max())
    fewer = set(n_samples.filter(pl.col("n_samples") < n_samples["n_samples"].max())["family"])
    return tuple(family for family in n_samples["family"] if family in failed | fewer)


def _with(words: dict[str, str], *wanted: str) -> tuple[str, ...]:
    return tuple(family for family, word in words.items() if word in wanted)


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
    alone = len(_estimates(scores, entry.name)) == 1
    yield (
        f"On the primary metric ({spoken(entry, task)}) `{found.leader}` {'reaches' if alone else 'leads with'} "
        f"{row['estimate']:.3f}{span} "
        f"on {row['n_samples']:,} test {found.unit}s" + _owned(found.unit, row["n_patients"])
    )
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
    undefined = tuple(name for name in dict.fromkeys(scores["family"]) if name not in _estimates(scores, entry.name))
    if undefined:
        yield f"It is undefined for {_listed(undefined)}."
    if close := _within(comparisons, found):
        yield f"Over {_listed(close)} the lead is real but smaller than {found.margin:g}, the margin that matters."
    if found.selection is not None:
        yield _corrected(found.selection, entry, _picked(found, scores, entry))
    contenders = [one for one in dict.fromkeys(scores["family"]) if one not in floors]
    if found.leader in floors and contenders:
        yield f"`{found.leader}` is a floor: no family that looks at the images in full did better."
    elif found.leader in floors:
        yield f"`{found.leader}` is a floor, and no family that looks at the images in full took part."
    yield from _below(found, n_contenders=len(contenders))


def _below(found: Verdict, n_contenders: int) -> Iterator[str]:
    """Yield who is not shown to be better than which floors, those together that the same families do not beat."""
    floors_of: dict[tuple[str, ...], tuple[str, ...]] = {}
    for floor in dict.fromkeys(floor for _, floor in found.no_better_than_floor):
        below = tuple(family for family, one in found.no_better_than_floor if one == floor)
        floors_of[below] = (*floors_of.get(below, ()), floor)
    for below, floors in floors_of.items():
        which = f"the floor{'s' if len(floors) > 1 else ''} {_listed(floors)}"
        if 1 < len(below) == n_contenders:
            yield f"No family but the floors is shown to be better than {which}."
        else:
            yield f"Not shown to be better than {which}: {_listed(below)}."


def _owned(unit: str, n_patients: int | None) -> str:
    if unit == "patient":
        return "."
    if n_patients is None:
        return "; the patients are unknown."
    return f" of {n_patients:,} patient{'s' if n_patients != 1 else ''}."


def _picked(found: Verdict, scores: pl.DataFrame, entry: MetricEntry) -> str:
    """Return who was picked among those that the selection is of; not the leader where that is a floor."""
    families = found.selection.families if found.selection is not None else ()
    if found.leader in families:
        return f"The best of {len(families)}"
    on_test = _estimates(scores, entry.name)
    best = best_of({one: on_test[one] for one in families if one in on_test}, entry)
    return f"`{best}`, the best of the {len(families)} that are no floors,"


def _corrected(one: Selection, entry: MetricEntry, who: str) -> str:
    picked = f"{who} was picked on the very cases that score it"
    if one.low == one.high:
        return f"{picked}, and no draw of patients differs, so that it cannot be corrected for that."
    cost = one.estimate - one.corrected if entry.better == "higher" else one.corrected - one.estimate
    free = f", no worse than the {one.estimate:.3f} found here: picking cost nothing that shows" if cost <= 0 else ""
    return (
        f"{picked}: corrected for that, {one.corrected:.3f} (95 % of the draws {one.low:.3f} to {one.high:.3f}) is "
        f"what such a pick scores on new patients{free}."
    )


def _power(found: Verdict, floors: Sequence[str]) -> Iterator[str]:
    """Yield what the set could have shown, of the families that it could not tell from the leader."""
    reach = [one for one in found.reach if one.family in found.undecided_with and one.family not in floors]
    if not reach:
        return
    whom = "images" if reach[0].n_patients is None else "patients"
    sizes = [one.n_patients or one.n_samples for one in reach]  # of who lacks a fold they are fewer
    fewest, most = min(sizes), max(sizes)
    n = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    low, high = (f"{bound(one.detectable for one in reach):.2g}" for bound in (min, max))
    span = low if low == high else f"{low} to {high}, depending on the pair"
    yield (
        f"These {n} {whom} would show with a power of {percent(POWER)} a true difference from the leader of {span}; "
        f"{_counted(reach[0].n_tests)} corrected for."
    )
    needed = sorted(one.needed for one in reach if one.needed is not None)
    if needed:
        counts = f"{needed[0]:,}" if needed[0] == needed[-1] else f"{needed[0]:,} to {needed[-1]:,}"
        yield f"To show one of {found.margin:g} it would take about {counts} {whom}."


def _counted(n_tests: int) -> str:
    return "one comparison is" if n_tests == 1 else f"{n_tests} comparisons are"


def _by_cost(found: Verdict, by_test: Choice, cost_s: dict[str, float]) -> Iterator[str]:
    """Yield what cost decides on test among the equivalent and the undecided."""
    if not (found.equivalent_to or found.undecided_with):
        return
    best = f"`{by_test.best}`"
    if len(by_test.tied) == 1:
        yield (
            f"On test no other family that may ship is within {found.margin:g} of {best} without being shown to "
            "be worse, so cost decides nothing there."
        )
    elif found.cheapest is None:
        yield "Costs are not known for all of these, so they cannot decide among the equivalent and the undecided."
    else:
        known = not by_test.all_miscalibrated and by_test.family not in by_test.unknown
        yield (
            f"Cost decides among the equivalent and the undecided within {found.margin:g} of {best}: the cheapest "
            f"{'calibrated ' if known else ''}one on test is `{found.cheapest}` "
            f"({_seconds(cost_s[found.cheapest])} s a trial to fit and predict)."
        )


def _seconds(cost_s: float) -> str:
    """Return seconds with two digits that count, or whole.

    >>> _seconds(0.0234), _seconds(4.0), _seconds(1368.2)
    ('0.023', '4', '1,368')
    """
    return f"{cost_s:.2g}" if cost_s < 99 else f"{cost_s:,.0f}"


def _shipping(
    found: Verdict, chosen: Choice, by_test: Choice | None, candidates: dict[str, float], words: dict[str, str]
) -> Iterator[str]:
    """Yield what ships and why, and how it stands on test."""
    below = "the best" if chosen.family == chosen.best else f"at most {found.margin:g} from the best, `{chosen.best}`"
    yield (
        f"On valid, among equivalent or undecided the cheapest {'' if chosen.all_miscalibrated else 'calibrated '}one "
        f"ships: `{chosen.family}` ({candidates[chosen.family]:.3f} there, {below}), chosen without looking at test."
    )
    yield from _reasons(chosen, found.margin)
    other = by_test.family if by_test and by_test.family != chosen.family else None
    word = words.get(chosen.family)
    if word == "better":
        yield f"But `{found.leader}` is better on test{': valid and test disagree' if other else ''}."
    elif word == "equivalent":
        yield f"On test it is equivalent to the leader `{found.leader}`."
    elif word:
        yield f"On test the data cannot tell it from the leader `{found.leader}`."
    if other and word != "better":
        yield f"Test alone would have named `{other}`: valid and test disagree, and valid decides."


def _barred(unfinished: Sequence[str], readers: Sequence[str]) -> Iterator[str]:
    """Yield who could not ship, whatever valid says."""
    if readers:
        yield f"Human readers are compared and never ship: {_listed(readers)}."
    yield from (f"`{one}` did not finish every trial, so it neither leads nor ships." for one in unfinished)


def _reasons(chosen: Choice, margin: float) -> Iterator[str]:
    if len(chosen.tied) > 1 and chosen.cost == "unknown":
        yield "No cost is known, so the better estimate on valid decided."
    if len(chosen.tied) > 1 and chosen.cost == "equal":
        yield "The cheapest cost the same, so the better estimate on valid decided."
    if chosen.beyond:
        far = f"more than {margin:g} worse there than the best, `{chosen.best}`"
        yield f"Left out, though cheaper and not shown to be worse, for an estimate {far}: {_listed(chosen.beyond)}."
    if chosen.miscalibrated:
        left = _listed(chosen.miscalibrated)
        yield f"Left out, because valid shows that their probabilities are off even when recalibrated: {left}."
    if chosen.all_miscalibrated:
        none = f"no calibrated one among {_listed(chosen.tied)}" if chosen.tied[1:] else "that it is badly calibrated"
        yield f"Valid shows {none}: do not take its probabilities for risks."
    elif chosen.family in chosen.unknown:
        yield "Its calibration could not be estimated on valid, and is not held against it."


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
