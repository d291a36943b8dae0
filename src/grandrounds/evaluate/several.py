"""Several binary tasks on the same samples (multi-label data), judged together: each task, and their mean.

A draw weighs a patient alike in every task, so that the mean over tasks is resampled as one number, and families are
compared on it: one comparison a pair, not one a task. Where a metric is undefined in a task its mean is, too; a mean
over other tasks would be another number.

Assumes: as the bootstrap, that patients are independent and the fitted models are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate import levels
from grandrounds.evaluate.bootstrap import Column, Replicates, interval, resample
from grandrounds.evaluate.catalogue import MetricEntry, primary_for
from grandrounds.evaluate.cohort import Cohort, among, assemble, checked
from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.judge import scored
from grandrounds.tables import Role, Task

ALL = "all tasks"


def all_tasks(tasks: Sequence[Task]) -> Task:
    """Return what the mean over tasks is a value of: a task whose classes are the tasks."""
    return Task(name=ALL, kind="multiclass", classes=tuple(task.name for task in tasks))


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
    unit: levels.Wanted = "auto",
    aggregation: levels.Choice = "valid",
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return scores of every task and of their mean, and comparisons on the mean.

    Args:
        predictions: Table `predictions`; each sample stands there once for each task, with `task` filled.
        tasks: Binary tasks.
        primary: Metric of the comparisons.
        margin: Differences within this much count as equal.
        resamples: Draws of the bootstrap, the same patients in every task.
        seed: Of the draws.
        role: Which rows are judged.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
        unit: The level at which families are judged; the same for all tasks.
        aggregation: How the samples of a case or a patient become one answer.

    Raises:
        BadData: A task is not binary, families or folds differ between tasks, or a task cannot be judged.
        BadSpec: The primary metric is unknown or not for these tasks.
    """
    _check(tasks)
    entry = primary_for(tasks[0], primary)
    cohorts = [_cohort(predictions, task, role, unit, aggregation, entry) for task in tasks]
    everybody = tuple(sorted(set().union(*(cohort.patients for cohort in cohorts))))
    cohorts = [among(cohort, everybody) for cohort in cohorts]
    _check_alike(cohorts)
    found = [resample(cohort, resamples, seed) for cohort in cohorts]
    mean = _mean(found)
    whole = replace(cohorts[0], task=all_tasks(tasks))
    by_task = [scored(cohort, one, patient_known=patient_known) for cohort, one in zip(cohorts, found, strict=True)]
    overall = pl.DataFrame([*_rows(cohorts, found, mean)], schema_overrides=dict(tables.SCORES.columns))
    numbers, method = pl.col("estimate", "low", "high").fill_nan(None), pl.lit(by_task[0]["method"][0])
    overall = overall.with_columns(numbers, method=method)
    scores = pl.concat([tables.check(overall, tables.SCORES), *by_task])
    return scores, compare(whole, mean, entry, margin, seed)


def _cohort(
    predictions: pl.DataFrame, task: Task, role: Role, unit: levels.Wanted, choice: levels.Choice, entry: MetricEntry
) -> Cohort:
    rows = checked(predictions, task, {role, "valid"})
    level = levels.settled(unit, rows, task)
    return assemble(levels.lift(rows, task, level, levels.rules(rows, task, level, entry, choice)), task, role, level)


def _mean(found: Sequence[Replicates]) -> Replicates:
    """Return the mean over tasks of every overall value, draw by draw."""
    first = found[0]
    at = [place for place, column in enumerate(first.columns) if column.label is None]
    columns = tuple(Column(first.columns[place].entry, None, (turn,)) for turn, place in enumerate(at))
    estimate = np.mean([one.estimate[:, at] for one in found], axis=0)
    return Replicates(first.families, columns, estimate, np.mean([one.values[:, at] for one in found], axis=0), ())


def _rows(cohorts: Sequence[Cohort], found: Sequence[Replicates], mean: Replicates) -> Iterator[dict[str, object]]:
    for place, family in enumerate(mean.families):
        samples = {(group.patient[at], name) for cohort in cohorts for group in cohort.of(family)
                   for at, name in enumerate(group.sample)}  # fmt: skip
        for at, column in enumerate(mean.columns):
            estimate = float(mean.estimate[place, at])
            low, high = interval(mean.values[place, at]) if not np.isnan(estimate) else (np.nan, np.nan)
            lacking = [
                cohort.task.name
                for cohort, one in zip(cohorts, found, strict=True)
                if np.isnan(one.estimate[place, one.at(column.entry.name)])
            ]
            yield {
                "family": family, "task": ALL, "metric": column.entry.name, "unit": cohorts[0].unit, "slice": "all",
                "estimate": estimate, "low": low, "high": high, "n_samples": len(samples),
                "n_patients": len({patient for patient, _ in samples}),
                "note": f"undefined for {', '.join(lacking)}" if lacking else None,
            }  # fmt: skip


def _check(tasks: Sequence[Task]) -> None:
    other = [task.name for task in tasks if task.kind != "binary"]
    if other or len({task.name for task in tasks}) < max(len(tasks), 2):
        raise BadData(
            "several tasks are judged together only where each is binary and has a name of its own",
            remedy=f"judge alone: {', '.join(other)}" if other else "name two tasks or more",
        )


def _check_alike(cohorts: Sequence[Cohort]) -> None:
    first = cohorts[0]
    runs = {family: first.runs(family) for family in first.families}
    if len(set(runs.values())) > 1:
        raise BadData("families finished different folds", remedy="leave out the folds that one of them lacks")
    for cohort in cohorts[1:]:
        if cohort.unit != first.unit or {family: cohort.runs(family) for family in cohort.families} != runs:
            raise BadData(
                f"the tasks {first.task.name} and {cohort.task.name} have other families, folds or levels",
                remedy="predict the same samples for every task with every family",
            )
