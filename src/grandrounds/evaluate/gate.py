"""What would ship of each family: its recalibration, and whether valid then leaves its probabilities calibrated.

A bundle carries its calibrators, so what is asked of a family is not whether it states good probabilities but whether
it has good ones once they are recalibrated. Each row of valid is recalibrated by calibrators that have not seen its
patient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from grandrounds import tables
from grandrounds.evaluate import levels, too_few
from grandrounds.evaluate.calibrators import Calibrator
from grandrounds.evaluate.catalogue import METRICS, primary_for
from grandrounds.evaluate.cohort import Cohort, Group, assemble, checked
from grandrounds.evaluate.levels import Key
from grandrounds.evaluate.sandwich import sandwich
from grandrounds.evaluate.setting import Recalibration, recalibration, rows_of, setting_of
from grandrounds.tables import Task, Unit

CALIBRATION = ("calibration_slope", "calibration_intercept")


@dataclass(frozen=True, slots=True)
class Ready:
    """Families as they would ship.

    Args:
        cohort: The rows that rules are set on, recalibrated.
        told: Family to its recalibrations.
    """

    cohort: Cohort
    told: Mapping[str, Recalibration]

    @property
    def methods(self) -> dict[str, str]:
        """Family to its best recalibration, "none" where probabilities are best as stated."""
        return {family: one.best for family, one in self.told.items()}

    @property
    def calibrators(self) -> dict[Key, tuple[Calibrator, ...]]:
        """Trial to the calibrators whose mean it ships with; none of them where they are best as stated."""
        return {
            (family, *run): trial.calibrators
            for family, one in self.told.items()
            for run, trial in zip(one.runs, one.trials, strict=True)
        }


def as_shipped(
    predictions: pl.DataFrame, task: Task, unit: Unit, choice: levels.Choice, primary: str, families: Collection[str],
    seed: int,
) -> Ready | None:  # fmt: skip
    """Return families as they would ship at the level that was compared; None where there is nothing to recalibrate on.

    Args:
        predictions: Table `predictions`.
        task: What was to be told.
        unit: What was compared.
        choice: How the samples of a case or a patient become one answer.
        primary: The metric that chooses among ways to do that.
        families: Which to look at; those that state probabilities.
        seed: As for `ready`.
    """
    rows = checked(predictions, task, tables.ROLES)
    by = levels.rules(rows, task, unit, primary_for(task, primary), choice)
    found = ready(levels.lift(rows, task, unit, by), task, families, seed)
    return found if found and len(found.cohort.patients) >= too_few.FEWEST else None


def recalibrated(scores: pl.DataFrame, found: Iterable[Ready | None]) -> pl.DataFrame:
    """Return the scores with calibration slope and intercept as families would ship, instead of as stated.

    Args:
        scores: Table `scores` of valid.
        found: One a task; of one that is None the stated ones stay.
    """
    for one in found:
        if one is not None:
            stated = pl.col("metric").is_in(CALIBRATION) & (pl.col("task") == one.cohort.task.name)
            scores = pl.concat([scores.filter(~stated), believed(one)])
    return scores


def ready(predictions: pl.DataFrame, task: Task, families: Collection[str], seed: int) -> Ready | None:
    """Return families as they would ship; None where there is no role to recalibrate on.

    Args:
        predictions: Table `predictions` of families that state probabilities, or what `levels.lift` made of it.
        task: What was to be told.
        families: Which to look at.
        seed: Of the dealing of patients; with that of `decide` the calibrators are the same.
    """
    setting = setting_of(predictions)
    if setting is None:
        return None
    fitting = assemble(predictions, task, setting.fitting)
    given = fitting if setting.rules == setting.fitting else assemble(predictions, task, setting.rules)
    told, groups = dict[str, Recalibration](), list[Group]()
    for family in families:
        if not (trials := rows_of(fitting, given, given, family)):
            continue
        with threadpool_limits(1, "blas"):  # of matrices this small, threads wait longer than they compute
            told[family] = recalibration(trials, setting, seed)
        own = zip(trials, told[family].trials, strict=True)
        groups += [replace(rows.judged, probs=one.setting) for rows, one in own]
    return Ready(replace(given, groups=tuple(groups)), told)


def believed(found: Ready) -> pl.DataFrame:
    """Return rows of the table `scores`: calibration slope and intercept of each class, as they would ship."""
    rows = [row for family in found.told for name in CALIBRATION for row in _rows(found.cohort, family, name)]
    frame = pl.DataFrame(rows, schema=dict(tables.SCORES.columns))
    numbers = pl.col("estimate", "low", "high")
    return tables.check(frame.with_columns(pl.when(numbers.is_finite()).then(numbers)), tables.SCORES)


def _rows(cohort: Cohort, family: str, name: str) -> Iterator[dict[str, Any]]:
    known = sandwich(cohort, family, METRICS.get(name))
    for label, value, half in zip(cohort.task.classes, known.estimate, known.half_width, strict=True):
        yield {
            "family": family, "task": cohort.task.name, "metric": name, "label": label, "slice": "all",
            "estimate": float(value), "low": float(np.subtract(value, half)), "high": float(np.add(value, half)),
        }  # fmt: skip
