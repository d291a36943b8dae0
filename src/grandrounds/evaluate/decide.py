"""The decisions table: what rules that were set on one role give on the judged one.

Where calibrators are fitted and rules set, and which recalibration is chosen, stands in `setting`; every rule that
needs a setting is set on the probabilities that the chosen one gives. The judged role is only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import polars as pl
from threadpoolctl import threadpool_limits

from grandrounds import tables
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.calling import calling
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.cohort import Cohort, assemble
from grandrounds.evaluate.conformal import conformal_sets
from grandrounds.evaluate.crossfit import NONE, Rows
from grandrounds.evaluate.declared import declared
from grandrounds.evaluate.grey import grey_zone
from grandrounds.evaluate.one_of_several import one_of_several
from grandrounds.evaluate.rules import Reading, Rule, measured
from grandrounds.evaluate.score import score
from grandrounds.evaluate.setting import Recalibration, Setting, recalibration, rows_of, setting_of
from grandrounds.tables import Task

RESAMPLES = 2000
PROBABILITIES = "probabilities"  # the rule that decides nothing
_OF_PROBABILITIES = ("brier", "log_loss", "ece")
_REFITTED = ("calibration_slope", "calibration_intercept")

RULES: tuple[Callable[[Reading], Iterator[Rule]], ...] = (declared, calling, one_of_several, grey_zone, conformal_sets)


class Decided(NamedTuple):
    """The decisions table, and what a reader of it must know."""

    decisions: pl.DataFrame
    notes: tuple[str, ...]


def decide(
    predictions: pl.DataFrame,
    task: Task,
    aims: Aims | None = None,
    *,
    known: Mapping[str, Recalibration] = MappingProxyType({}),
    seed: int = 0,
    resamples: int = RESAMPLES,
    patient_known: bool = True,
) -> Decided:
    """Return what the rules of every family give on the test role; no row where there is no role to set them on.

    Args:
        predictions: Table `predictions`.
        task: What was to be told.
        aims: What is to be decided; None for the defaults.
        known: Families whose recalibrations were made before, of these very rows and with this seed.
        seed: Of the draws and of the dealing of patients.
        resamples: Draws of the bootstrap.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
    """
    aims = aims or Aims()
    setting = setting_of(predictions)
    if setting is None:
        nothing = "There is no row of valid or calib beside test, so no threshold can be set and nothing recalibrated."
        return Decided(tables.empty(tables.DECISIONS), (nothing,))
    fitting, judged = assemble(predictions, task, setting.fitting), assemble(predictions, task, "test")
    given = fitting if setting.rules == setting.fitting else assemble(predictions, task, setting.rules)
    rows: list[pl.DataFrame] = []
    notes = [setting.sentence]
    for family in judged.families:
        trials = rows_of(fitting, given, judged, family)
        if len(trials) < len(judged.of(family)):
            n, roles = (
                len(judged.of(family)) - len(trials),
                " or ".join(dict.fromkeys((setting.fitting, setting.rules))),
            )
            notes.append(f"{family} has no row of {roles} in {n} of its trials, which are left out of decisions.")
        if trials:
            with threadpool_limits(1, "blas"):  # of matrices this small, threads wait longer than they compute
                told = known[family].judging(trials) if family in known else None
                told = told or recalibration(trials, setting, seed)
                rows.append(_decided(family, trials, told, judged, aims, setting, seed, resamples))
    frame = pl.concat(rows, how="diagonal_relaxed") if rows else tables.empty(tables.DECISIONS)
    chosen_on = pl.col("chosen_on").fill_null(setting.words) if rows else pl.lit(setting.words)
    frame = frame.with_columns(task=pl.lit(task.name), chosen_on=chosen_on).fill_nan(None)
    if not patient_known:
        frame = frame.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))
    return Decided(tables.check(frame, tables.DECISIONS), tuple(notes))


def _decided(
    family: str, trials: tuple[Rows, ...], told: Recalibration, judged: Cohort, aims: Aims, setting: Setting,
    seed: int, resamples: int,
) -> pl.DataFrame:  # fmt: skip
    n_patients = len({one for rows in trials for one in rows.judged.patient.tolist()})
    apart = setting.fitting if setting.fitting != setting.rules else None
    reading = Reading(family, judged.task, aims, trials, told.best, told.trials, len(judged.patients), apart)
    rules = [rule for build in RULES for rule in build(reading)]
    rows = [row for some in measured(rules, len(judged.patients), resamples, seed) for row in some]
    stated = _probabilities(trials, told, judged, resamples, seed)
    frame = pl.concat([stated, pl.DataFrame(rows, schema_overrides=_numbers())], how="diagonal_relaxed")
    return frame.with_columns(family=pl.lit(family), n_patients=pl.lit(n_patients))


def _numbers() -> dict[str, pl.DataType]:
    return dict(tables.DECISIONS.columns)


def _probabilities(
    trials: Sequence[Rows], told: Recalibration, judged: Cohort, resamples: int, seed: int
) -> pl.DataFrame:
    """Return how good the judged probabilities are, before and after each recalibration."""
    groups = tuple(
        replace(rows.judged, family=method, probs=one.judged)
        for method, each in told.found.items()
        for rows, one in zip(trials, each, strict=True)
    )
    cohort = Cohort(judged.task, judged.patients, groups)
    drawn = resample(cohort, resamples, seed, metrics=[METRICS.get(name) for name in _OF_PROBABILITIES])
    positive = positive_of(judged.task)
    refitted = [METRICS.get(name) for name in _REFITTED] if positive else []
    scores = score(cohort, drawn, method="", refitted=refitted)
    scores = scores.filter(pl.col("label").is_null() | pl.col("label").is_in([positive or ""]))
    found_by = "least log loss on the rows that calibrators were fitted on"
    chosen = found_by if told.best != NONE else f"{found_by}, so nothing is recalibrated"
    return scores.select(
        pl.lit(PROBABILITIES).alias("rule"), pl.lit(None, dtype=pl.String()).alias("label"),
        pl.col("family").alias("calibration"), "metric", "estimate", "low", "high",
        pl.when((pl.col("family") == told.best) & (pl.col("metric") == "log_loss"))
        .then(pl.concat_str(pl.lit(chosen), "note", separator=". ", ignore_nulls=True))
        .otherwise("note").alias("note"),
    )  # fmt: skip
