"""Several tasks on the same samples (multi-label data), judged together: each task, and their mean.

A draw weighs a patient alike in every task, so that the mean over tasks is resampled as one number, and families are
compared on it: one comparison a pair, not one a task. Where a metric is undefined in a task its mean is, too; a mean
over other tasks would be another number. For the same reason a family that did not read a task, or not in
every fold, has no mean.

Each task counts alike in the mean, whatever its kind and the number of its samples; of a task with more than two
classes it is the overall value that counts, such as the macro AUC.

Assumes: as the bootstrap, that patients are independent and the fitted models are given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate import levels, too_few
from grandrounds.evaluate.bootstrap import Column, Replicates, resample
from grandrounds.evaluate.bounds import bounds, of_mean
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import ALL_TASKS, MetricEntry, primary_for
from grandrounds.evaluate.cohort import Cohort, among, assemble, checked
from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.estimates import Estimate
from grandrounds.evaluate.judge import PICKS, Judgement, estimates_only, resampled, scored
from grandrounds.evaluate.optimism import selection
from grandrounds.evaluate.pairs import paired
from grandrounds.evaluate.score import lost
from grandrounds.tables import Role, Task

FROM_TASKS = "from those of the tasks"  # how the interval of a mean is made, in the column `method`


def all_tasks(tasks: Sequence[Task]) -> Task:
    """Return what the mean over tasks is a value of: a task whose classes are the tasks."""
    return Task(name=ALL_TASKS, kind="multiclass", classes=tuple(task.name for task in tasks))


def judge_several(
    predictions: pl.DataFrame,
    tasks: Sequence[Task],
    *,
    primary: str = "auc",
    margin: float = 0.02,
    resamples: int = 2000,
    seed: int = 0,
    role: Role = "test",
    patient_known: bool = True,
    floors: Collection[str] = (),
    unit: levels.Wanted = "auto",
    aggregation: levels.Choice = "valid",
) -> Judgement:
    """Return scores of the mean over the tasks and of every task, and comparisons on the mean.

    Args:
        predictions: Table `predictions`; each sample stands there once for each task, with `task` filled.
        tasks: Two or more, of any kind.
        primary: Metric of the comparisons; every task must have it.
        margin: Differences within this much count as equal.
        resamples: Draws of the bootstrap, the same patients in every task.
        seed: Of the draws.
        role: Which rows are judged.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
        floors: Families that nobody would pick.
        unit: The level at which families are judged; the same for all tasks.
        aggregation: How the samples of a case or a patient become one answer.

    Raises:
        BadData: A task cannot be judged, no family read all of them, or their levels differ.
        BadSpec: The primary metric is unknown or not for these tasks.
    """
    _check(tasks)
    entry, *_ = (primary_for(task, primary) for task in tasks)  # every task must have it
    cohorts = [_cohort(predictions, task, role, unit, aggregation, entry) for task in tasks]
    everybody = tuple(sorted(set().union(*(cohort.patients for cohort in cohorts))))
    cohorts = [among(cohort, everybody) for cohort in cohorts]
    families = _whole(cohorts)
    found = [resample(cohort, resamples, seed) for cohort in cohorts]
    mean = _mean(found, families)
    kept = [cohort.restricted(families, cohort.runs(families[0])) for cohort in cohorts]
    by_task = [scored(cohort, one, patient_known=patient_known) for cohort, one in zip(cohorts, found, strict=True)]
    rows = [*_rows(cohorts, found, mean), *_lacking(cohorts, mean)]
    overall = _overall(rows, resamples, patient_known=patient_known)
    carriers = {one: [Carriers.of(cohort, one) for cohort in kept] for one in families}
    estimates = {one: _estimate(found, carriers[one], one, entry) for one in families}
    whole = replace(kept[0], task=all_tasks(tasks))
    pairs = paired(whole, mean, entry, seed, estimates=estimates)
    judgement = Judgement(
        pl.concat([overall, *by_task]),
        compare(whole, pairs, entry, margin),
        tables.empty(tables.CURVES),
        (*_notes(cohorts, families),),
        selection(kept, entry, min(resamples, PICKS), seed, without=floors) if role != "valid" else None,
        cohorts[0].unit,
    )
    return judgement if len(everybody) >= too_few.FEWEST else estimates_only(judgement, len(everybody))


def _overall(rows: Sequence[dict[str, object]], resamples: int, *, patient_known: bool) -> pl.DataFrame:
    """Return the scores table of the means, with the words for how each interval was made."""
    frame = pl.DataFrame(rows, schema_overrides=dict(tables.SCORES.columns), infer_schema_length=None)
    how = resampled(FROM_TASKS, resamples, patient_known=patient_known)
    numbers = pl.col("estimate", "low", "high").fill_nan(None)
    known = pl.col("n_patients") if patient_known else pl.lit(None, dtype=pl.Int64())
    return tables.check(frame.with_columns(numbers, method=pl.lit(how), n_patients=known), tables.SCORES)


def _cohort(
    predictions: pl.DataFrame, task: Task, role: Role, unit: levels.Wanted, choice: levels.Choice, entry: MetricEntry
) -> Cohort:
    rows = checked(predictions, task, {role, "valid"})
    level = levels.settled(unit, rows, task)
    return assemble(levels.lift(rows, task, level, levels.rules(rows, task, level, entry, choice)), task, role, level)


def _whole(cohorts: Sequence[Cohort]) -> tuple[str, ...]:
    """Return the families that read every task in every fold, which are those that have a mean."""
    if len({cohort.unit for cohort in cohorts}) > 1:
        told = ", ".join(f"{cohort.task.name} by {cohort.unit}" for cohort in cohorts)
        raise BadData(f"tasks are judged at different levels: {told}", remedy="judge all by sample: --by sample")
    families = tuple(one for one in cohorts[0].families if all(cohort.is_whole(one) for cohort in cohorts))
    if not families:
        raise BadData(
            "no family read every task, with every fold", remedy="predict every task with a family of one name"
        )
    return families


def _mean(found: Sequence[Replicates], families: Sequence[str]) -> Replicates:
    """Return the mean over tasks of every overall value that all of them have, draw by draw."""
    shared = [one.entry for one in found[0].columns if one.label is None and all(_has(of, one.entry) for of in found)]
    estimates, values = [], []
    for one in found:
        place = np.ix_([one.families.index(name) for name in families], [one.at(entry.name) for entry in shared])
        estimates.append(one.estimate[place])
        values.append(one.values[place])
    columns = tuple(Column(entry, None, (turn,)) for turn, entry in enumerate(shared))
    return Replicates(tuple(families), columns, np.mean(estimates, axis=0), np.mean(values, axis=0), ())


def _estimate(found: Sequence[Replicates], carriers: Sequence[Carriers], family: str, entry: MetricEntry) -> Estimate:
    """Return the mean over tasks of one metric of one family."""
    return Estimate.mean([
        Estimate.of(one, one.families.index(family), one.at(entry.name), own)
        for one, own in zip(found, carriers, strict=True)
    ])  # fmt: skip


def _has(one: Replicates, entry: MetricEntry) -> bool:
    return any(column.entry.name == entry.name and column.label is None for column in one.columns)


def _rows(cohorts: Sequence[Cohort], found: Sequence[Replicates], mean: Replicates) -> Iterator[dict[str, object]]:
    for place, family in enumerate(mean.families):
        samples = {(group.patient[at], name) for cohort in cohorts for group in cohort.of(family)
                   for at, name in enumerate(group.sample)}  # fmt: skip
        carriers = [Carriers.of(cohort, family) for cohort in cohorts]
        for at, column in enumerate(mean.columns):
            estimate, of_tasks = float(mean.estimate[place, at]), _estimate(found, carriers, family, column.entry)
            ends = [
                bounds(one, one.families.index(family), one.at(column.entry.name), own)
                for one, own in zip(found, carriers, strict=True)
            ]
            low, high = of_mean([one.value for one in of_tasks.parts], ends, of_tasks.stacked)
            undefined = [
                cohort.task.name for cohort, one in zip(cohorts, of_tasks.parts, strict=True) if np.isnan(one.value)
            ]
            yield {
                "family": family, "task": ALL_TASKS, "metric": column.entry.name, "unit": cohorts[0].unit,
                "slice": "all", "estimate": estimate, "low": low, "high": high, "n_samples": len(samples),
                "n_patients": len({patient for patient, _ in samples}),
                "note": next(_why(undefined, mean.values[place, at]), None),
            }  # fmt: skip


def _why(undefined: Sequence[str], values: NDArray[np.float64]) -> Iterator[str]:
    """Yield for which tasks a mean is undefined, or in how many resamples, as it happens with rare findings."""
    if undefined:
        yield f"undefined for {', '.join(undefined)}"
    yield from lost(values)


def _lacking(cohorts: Sequence[Cohort], mean: Replicates) -> Iterator[dict[str, object]]:
    """Yield a row without a value for each family that did not read every task."""
    for family, why in _unread(cohorts, mean.families).items():
        for column in mean.columns:
            yield {
                "family": family, "task": ALL_TASKS, "metric": column.entry.name, "unit": cohorts[0].unit,
                "slice": "all", "note": f"it {why}",
            }  # fmt: skip


def _unread(cohorts: Sequence[Cohort], families: Collection[str]) -> dict[str, str]:
    """Return for each family that has no mean what it did not do."""
    everyone = dict.fromkeys(family for cohort in cohorts for family in cohort.families)
    return {family: " and ".join(_undone(cohorts, family)) for family in everyone if family not in families}


def _undone(cohorts: Sequence[Cohort], family: str) -> Iterator[str]:
    unread = [cohort.task.name for cohort in cohorts if family not in cohort.families]
    partly = [one.task.name for one in cohorts if family in one.families and not one.is_whole(family)]
    if unread:
        yield f"did not read {', '.join(unread)}"
    if partly:
        yield f"did not finish every fold of {', '.join(partly)}"


def _notes(cohorts: Sequence[Cohort], families: Sequence[str]) -> Iterator[str]:
    names = [cohort.task.name for cohort in cohorts]
    owners = [{cohort.patients[place] for group in cohort.groups for place in group.patient} for cohort in cohorts]
    for name, own in zip(names, owners, strict=True):
        elsewhere = set().union(*(other for other in owners if other is not own))
        if not own & elsewhere:
            yield (
                f"The task {name} shares no patient with the others: where the same people go by other names there, "
                "the intervals of the mean are too narrow."
            )
    if len(set(map(frozenset, owners))) > 1:
        counts = ", ".join(f"{name} {len(own)}" for name, own in zip(names, owners, strict=True))
        yield f"Not every patient is in every task: {counts} of {len(set().union(*owners))} in all."
    for family, why in _unread(cohorts, families).items():
        yield f"{family} {why}, so it has no mean over the tasks and is not compared on it."


def _check(tasks: Sequence[Task]) -> None:
    if len({task.name for task in tasks}) < max(len(tasks), 2):
        raise BadData(
            "several tasks are judged together only where each has a name of its own", remedy="name two tasks or more"
        )
