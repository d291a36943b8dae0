"""From predictions to scores, comparisons and curves, in one call.

>>> import polars as pl
>>> rows = pl.DataFrame({"sample": ["1", "2", "3", "4"], "patient": ["p", "q", "r", "s"], "family": "f"})
>>> rows = rows.with_columns(label=pl.Series(["a", "b", "a", "b"]), prob_a=pl.Series([0.9, 0.2, 0.6, 0.7]))
>>> rows = rows.with_columns(prob_b=1 - pl.col("prob_a"))
>>> judge(rows, Task(kind="binary", classes=("a", "b")), resamples=99).scores["estimate"][0]
0.75
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.evaluate import levels, too_few
from grandrounds.evaluate.aggregation import Rule
from grandrounds.evaluate.answer import Selection
from grandrounds.evaluate.beside import ANEW, beside
from grandrounds.evaluate.bootstrap import Replicates, resample
from grandrounds.evaluate.catalogue import MetricEntry, metrics_for, primary_for
from grandrounds.evaluate.cohort import CELL, Cohort, assemble, checked
from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.curves import curves
from grandrounds.evaluate.opinions import opinions
from grandrounds.evaluate.optimism import selection
from grandrounds.evaluate.pairs import paired
from grandrounds.evaluate.score import PERCENTILE, score
from grandrounds.evaluate.setting import Recalibration
from grandrounds.evaluate.shipping import best_of
from grandrounds.tables import Role, Task, Unit

PICKS = 1000  # draws of the correction for picking the best: it is a mean, not a tail
FEW_PATIENTS = 30  # fewer, and little can be shown
FEW_OF_A_CLASS = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the predictions of one role show.

    Args:
        scores: Table `scores`, at every level that differs from the one below it.
        comparisons: Table `comparisons`, on the primary metric at the level that was declared, with further methods
            beside the one that decides.
        curves: Table `curves`, at that level.
        notes: What a reader of the numbers must know.
        selection: The best family's score corrected for the picking; None where there is nothing to pick from.
        unit: The level at which the families are compared.
        rules: How each trial made one answer of the samples of a unit; empty where the unit is the sample.
        intervals: Table `intervals`, at that level; empty for valid.
        recalibrations: Family to its recalibrations at that level, where they were looked at to choose what ships.
    """

    scores: pl.DataFrame
    comparisons: pl.DataFrame
    curves: pl.DataFrame
    notes: tuple[str, ...]
    selection: Selection | None = None
    unit: Unit = "sample"
    rules: Mapping[levels.Key, Rule] = field(default_factory=lambda: MappingProxyType({}))
    intervals: pl.DataFrame = field(default_factory=lambda: tables.empty(tables.INTERVALS))
    recalibrations: Mapping[str, Recalibration] = field(default_factory=lambda: MappingProxyType({}))


def judge(
    predictions: pl.DataFrame,
    task: Task,
    *,
    primary: str = "auc",
    margin: float = 0.02,
    resamples: int = 2000,
    seed: int = 0,
    role: Role = "test",
    patient_known: bool = True,
    practical: bool = False,
    floors: Collection[str] = (),
    unit: levels.Wanted = "auto",
    aggregation: levels.Choice = "valid",
) -> Judgement:
    """Return scores, comparisons and curves of every family on one role.

    Args:
        predictions: Table `predictions`; rows of other roles and tasks are left alone.
        task: What was to be told.
        primary: Metric of the comparisons.
        margin: Differences within this much count as equal.
        resamples: Draws of the bootstrap.
        seed: Of the draws.
        role: Which rows are judged.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
        practical: Whether to add the probabilities that a difference matters (region of practical equivalence).
        floors: Families that nobody would pick.
        unit: The level at which families are compared: samples, cases or patients.
        aggregation: How the samples of a case or a patient become one answer; `"valid"` lets each trial choose.

    Raises:
        BadData: The predictions cannot be judged; the message says why.
        BadSpec: The primary metric is unknown or not for this task.
    """
    entry, rows = primary_for(task, primary), checked(predictions, task, {role, "valid"})
    declared = levels.settled(unit, rows, task)
    ladder = [one for one in levels.ladder(rows, task) if one != "patient" or patient_known]
    by = {one: levels.rules(rows, task, one, entry, aggregation) for one in dict.fromkeys((*ladder, declared))}
    cohorts = {one: assemble(levels.lift(rows, task, one, by[one]), task, role, one) for one in by}
    cohort, replicates = cohorts[declared], resample(cohorts[declared], resamples, seed)
    pairs = paired(cohort, replicates, entry, seed)
    comparisons, picked = compare(cohort, pairs, entry, margin), None
    scores, others = [scored(cohort, replicates, patient_known=patient_known)], tables.empty(tables.INTERVALS)
    if role != "valid":  # valid only chooses: it needs neither second opinions nor other levels nor a correction
        further = opinions(cohort, pairs, entry, margin, resamples, seed, practical=practical)
        comparisons = pl.concat([comparisons, further], how="diagonal")
        picked = selection([cohort], entry, min(resamples, PICKS), seed, without=floors)
        higher = [one for name, one in cohorts.items() if name != declared]
        scores += [scored(one, resample(one, resamples, seed), patient_known=patient_known) for one in higher]
        others = beside(cohort, replicates, _n_valid(rows))
    notes = (
        *_notes(cohort, patient_known), *_anew(others, scores[0], entry),
        *_combined(declared, by[declared], aggregation, rows),
    )  # fmt: skip
    judgement = Judgement(
        pl.concat(scores), comparisons, curves(cohort, seed), notes, picked, declared, MappingProxyType(by[declared]),
        others,
    )  # fmt: skip
    return judgement if len(cohort.patients) >= too_few.FEWEST else estimates_only(judgement, len(cohort.patients))


def estimates_only(found: Judgement, n_patients: int) -> Judgement:
    """Return what is left of the judgement of a handful of patients: its values."""
    scores, comparisons, drawn = (
        too_few.without_intervals(frame, n_patients) for frame in (found.scores, found.comparisons, found.curves)
    )
    intervals = tables.empty(tables.INTERVALS)
    return replace(
        found, scores=scores, comparisons=comparisons, curves=drawn, intervals=intervals, selection=None
    )  # fmt: skip


def _n_valid(rows: pl.DataFrame) -> float:
    """Return the patients of valid in a trial, on average."""
    valid = rows.filter(pl.col("role") == "valid")
    if valid.is_empty():
        return 0.0
    return float(valid.group_by(CELL).agg(pl.col("patient").n_unique().alias("n"))["n"].to_numpy().mean())


def scored(cohort: Cohort, replicates: Replicates, *, patient_known: bool) -> pl.DataFrame:
    """Return the scores table with the words for how each interval was made."""
    scores = score(
        cohort, replicates, method=resampled(PERCENTILE, replicates.values.shape[2], patient_known=patient_known),
        refitted=[one for one in metrics_for(cohort.task) if one.influence],
        refitted_method=f"{'cluster-sandwich' if patient_known else 'sandwich'} error, t"
        + ("" if patient_known else ", assumes independent images"),
    )  # fmt: skip
    return scores if patient_known else scores.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))


def resampled(made: str, n: int, *, patient_known: bool) -> str:
    """Return the words for an interval that so many resamples gave."""
    drawn = "patient-clustered bootstrap" if patient_known else "bootstrap, assumes independent images"
    return f"{drawn}, {made}, {n} resamples"


def _anew(intervals: pl.DataFrame, scores: pl.DataFrame, entry: MetricEntry) -> Iterator[str]:
    """Yield where the leader would score if it were trained anew, where folds can tell."""
    overall = pl.col("metric") == entry.name, pl.col("label").is_null()
    estimates = dict(scores.filter(*overall).drop_nulls("estimate").select("family", "estimate").iter_rows())
    known = intervals.filter(*overall, pl.col("method") == ANEW).drop_nulls(["low", "high"])
    leader = best_of(estimates, entry) if estimates else ""
    for low, high, n in known.filter(family=leader).select("low", "high", "n").iter_rows():
        yield (
            f"Trained anew on other patients like these, {leader} would score {low:.3f} to {high:.3f} "
            f"(corrected after Nadeau and Bengio, {n} folds); the other intervals take the fitted models as they are."
        )


def _combined(
    unit: Unit, by: Mapping[levels.Key, Rule], aggregation: levels.Choice, rows: pl.DataFrame
) -> Iterator[str]:
    """Yield how samples became cases or patients, family by family."""
    if not by:
        return
    if not (rows["role"] == "valid").any():
        name = next(iter(by.values()))
        why = "there are no valid rows to choose a rule on" if aggregation == "valid" else "as was declared"
        yield f"The samples of a {unit} become one answer by the rule {name}: {why}."
        return
    said = "; ".join(f"{family} {words}" for family, words in levels.in_words(levels.record(by)).items())
    how = "each trial chose on its own valid rows" if aggregation == "valid" else "was declared"
    yield f"The samples of a {unit} become one answer by a rule that {how}: {said}."


def _rare(cohort: Cohort) -> Iterator[str]:
    """Yield which classes so few patients show that what rests on them is hardly known."""
    if len(cohort.patients) < too_few.FEWEST:
        return
    patient = np.concatenate([group.patient for group in cohort.groups])
    label = np.concatenate([group.label for group in cohort.groups])
    found = [(name, len(np.unique(patient[label == at]))) for at, name in enumerate(cohort.task.classes)]
    rare = [f"{name} ({n})" for name, n in found if 0 < n < FEW_OF_A_CLASS]
    if rare:
        yield (
            f"Fewer than {FEW_OF_A_CLASS} patients of {', '.join(rare)}: whatever rests on them is hardly known, "
            "however many others there are."
        )


def _notes(cohort: Cohort, patient_known: bool) -> Iterator[str]:  # noqa: FBT001  (passed on)
    if not patient_known:
        yield "Every interval assumes independent images, because the patients are unknown."
    if len(cohort.patients) < too_few.FEWEST:
        yield f"{too_few.why(len(cohort.patients))}: only the values themselves are shown, and nothing is compared."
    elif len(cohort.patients) < FEW_PATIENTS:
        yield (
            f"Only {len(cohort.patients)} patients: intervals from so few are rough, and none but large differences "
            "can be shown."
        )
    yield from _rare(cohort)
    everywhere = {run for family in cohort.families for run in cohort.runs(family)}
    several = len({seed for *_, seed in everywhere}) > 1
    for family in cohort.families:
        finished = cohort.runs(family)
        if finished != everywhere:
            what = "runs of fold and seed" if several else "folds"
            yield (
                f"{family} finished {len(finished)} of {len(everywhere)} {what}: its scores rest on those, "
                f"and it is compared on the {what} that both families finished."
            )
