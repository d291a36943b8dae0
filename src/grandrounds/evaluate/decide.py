"""The decisions table: what rules that were set on one role give on the judged one.

Rules are set on `calib` where it has at least fifty patients, else on `valid` (else on a smaller `calib`). There,
cross-fitted by patient, the recalibration with the least log loss is chosen, none of them included, and every rule that
needs a setting is set on the probabilities that it gives. The judged role is only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from grandrounds import tables
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.calibrators import CALIBRATORS
from grandrounds.evaluate.calling import calling
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.cohort import Cohort, Group, assemble
from grandrounds.evaluate.conformal import conformal_sets
from grandrounds.evaluate.crossfit import NONE, Pair, Recalibrated, recalibrated
from grandrounds.evaluate.declared import declared
from grandrounds.evaluate.grey import grey_zone
from grandrounds.evaluate.rules import Reading, Rule, measured
from grandrounds.evaluate.score import score
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import Role, Task

ENOUGH = 50  # patients in `calib`; fewer, and valid is cross-fitted instead
RESAMPLES = 2000
PROBABILITIES = "probabilities"  # the rule that decides nothing
_OF_PROBABILITIES = ("brier", "log_loss", "ece")
_REFITTED = ("calibration_slope", "calibration_intercept")

RULES: tuple[Callable[[Reading], Iterator[Rule]], ...] = (declared, calling, grey_zone, conformal_sets)


class Decided(NamedTuple):
    """The decisions table, and what a reader of it must know."""

    decisions: pl.DataFrame
    notes: tuple[str, ...]


class Setting(NamedTuple):
    """The role that rules are set on.

    Args:
        role: Which.
        whole: Whether the judged rows get a calibrator fitted on all of its patients, instead of cross-fitted ones.
    """

    role: Role
    whole: bool

    @property
    def words(self) -> str:
        """The role and how calibrators are fitted on it."""
        return self.role if self.whole else f"{self.role}, cross-fitted by patient"


def decide(
    predictions: pl.DataFrame,
    task: Task,
    aims: Aims | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    patient_known: bool = True,
) -> Decided:
    """Return what the rules of every family give on the test role; no row where there is no role to set them on.

    Args:
        predictions: Table `predictions`.
        task: What was to be told.
        aims: What is to be decided; None for the defaults.
        seed: Of the draws and of the dealing of patients.
        resamples: Draws of the bootstrap.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
    """
    aims = aims or Aims()
    setting = setting_of(predictions)
    if setting is None:
        nothing = "There is no row of valid or calib beside test, so no threshold can be set and nothing recalibrated."
        return Decided(tables.empty(tables.DECISIONS), (nothing,))
    given, judged = assemble(predictions, task, setting.role), assemble(predictions, task, "test")
    rows: list[pl.DataFrame] = []
    notes = [f"Rules of decision were set on {setting.words}."]
    for family in judged.families:
        pairs = _pairs(given, judged, family)
        if len(pairs) < len(judged.of(family)):
            n = len(judged.of(family)) - len(pairs)
            notes.append(
                f"{family} has no row of {setting.role} in {n} of its trials, which are left out of decisions."
            )
        if pairs:
            with threadpool_limits(1, "blas"):  # of matrices this small, threads wait longer than they compute
                rows.append(_decided(family, pairs, judged, aims, setting, seed, resamples))
    frame = pl.concat(rows, how="diagonal_relaxed") if rows else tables.empty(tables.DECISIONS)
    frame = frame.with_columns(task=pl.lit(task.name), chosen_on=pl.lit(setting.words)).fill_nan(None)
    if not patient_known:
        frame = frame.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))
    return Decided(tables.check(frame, tables.DECISIONS), tuple(notes))


def setting_of(predictions: pl.DataFrame) -> Setting | None:
    """Return the role that rules are set on; None where there is none."""
    if "role" not in predictions.columns:
        return None
    n_patients = dict(predictions.group_by("role").agg(pl.col("patient").n_unique()).iter_rows())
    if "test" not in n_patients:
        return None
    if n_patients.get("calib", 0) >= ENOUGH:
        return Setting("calib", whole=True)
    present: list[Role] = [role for role in ("valid", "calib") if role in n_patients]
    return Setting(present[0], whole=False) if present else None


def _pairs(given: Cohort, judged: Cohort, family: str) -> tuple[Pair, ...]:
    by_run = {group.run: group for group in given.of(family)}
    return tuple(Pair(by_run[group.run], group) for group in judged.of(family) if group.run in by_run)


def _decided(
    family: str, pairs: tuple[Pair, ...], judged: Cohort, aims: Aims, setting: Setting, seed: int, resamples: int
) -> pl.DataFrame:
    n_patients = len({one for pair in pairs for one in pair.judged.patient.tolist()})
    found = _recalibrations(pairs, setting, seed)
    best = min(found, key=lambda method: _loss(pairs, found[method]))  # the first of equals, and none is first
    reading = Reading(family, judged.task, aims, pairs, best, found[best], len(judged.patients))
    rules = [rule for build in RULES for rule in build(reading)]
    rows = [row for some in measured(rules, len(judged.patients), resamples, seed) for row in some]
    stated = _probabilities(pairs, found, judged, best, resamples, seed)
    frame = pl.concat([stated, pl.DataFrame(rows, schema_overrides=_numbers())], how="diagonal_relaxed")
    return frame.with_columns(family=pl.lit(family), n_patients=pl.lit(n_patients))


def _numbers() -> dict[str, pl.DataType]:
    return dict(tables.DECISIONS.columns)


def _recalibrations(pairs: Sequence[Pair], setting: Setting, seed: int) -> dict[str, tuple[Recalibrated, ...]]:
    """Return every recalibration that every trial has patients enough for."""
    found = {}
    for method in (NONE, *CALIBRATORS):
        trials = [recalibrated(method, pair, seed, whole=setting.whole) for pair in pairs]
        if all(one is not None for one in trials):
            found[method] = tuple(one for one in trials if one is not None)
    return found


def _loss(pairs: Sequence[Pair], trials: Sequence[Recalibrated]) -> float:
    return float(np.mean([_log_loss(one.setting, pair.setting.label) for pair, one in zip(pairs, trials, strict=True)]))


def _log_loss(probs: Probs, label: ClassIndex) -> float:
    own = probs[np.arange(len(label)), label]
    return -float(np.log(np.clip(own, np.finfo(np.float64).eps, None)).mean())


def _probabilities(
    pairs: Sequence[Pair],
    found: dict[str, tuple[Recalibrated, ...]],
    judged: Cohort,
    best: str,
    resamples: int,
    seed: int,
) -> pl.DataFrame:
    """Return how good the judged probabilities are, before and after each recalibration."""
    groups: list[Group] = []
    for method, trials in found.items():
        groups += [
            replace(pair.judged, family=method, probs=one.judged) for pair, one in zip(pairs, trials, strict=True)
        ]
    cohort = Cohort(judged.task, judged.patients, tuple(groups))
    drawn = resample(cohort, resamples, seed, metrics=[METRICS.get(name) for name in _OF_PROBABILITIES])
    positive = positive_of(judged.task)
    refitted = [METRICS.get(name) for name in _REFITTED] if positive else []
    scores = score(cohort, drawn, method="", refitted=refitted)
    scores = scores.filter(pl.col("label").is_null() | pl.col("label").is_in([positive or ""]))
    chosen = f"least log loss on the setting rows{'' if best != NONE else ', so nothing is recalibrated'}"
    return scores.select(
        pl.lit(PROBABILITIES).alias("rule"), pl.lit(None, dtype=pl.String()).alias("label"),
        pl.col("family").alias("calibration"), "metric", "estimate", "low", "high",
        pl.when((pl.col("family") == best) & (pl.col("metric") == "log_loss"))
        .then(pl.concat_str(pl.lit(chosen), "note", separator=". ", ignore_nulls=True))
        .otherwise("note").alias("note"),
    )  # fmt: skip
