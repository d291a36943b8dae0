"""From predictions to an answer: test is judged, valid chooses what ships, and both are put into words."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from grandrounds import tables
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.judge import Judgement, judge
from grandrounds.evaluate.verdict import verdict
from grandrounds.tables import Task

VALID_RESAMPLES = 2000  # what ships is chosen on valid, by its estimates and by who differs there


def answer(
    predictions: pl.DataFrame,
    task: Task,
    trials: pl.DataFrame,
    floors: Sequence[str],
    *,
    primary: str,
    margin: float,
    resamples: int,
    rope: bool,
    unit: levels.Wanted,
    aggregation: levels.Choice,
    seed: int = 0,
    patient_known: bool = True,
) -> tuple[Judgement, Verdict]:
    """Return what the test role shows, and the verdict; without valid rows nothing ships.

    Args:
        predictions: Table `predictions`.
        task: What was to be told.
        trials: Table `trials`, for the costs; may be empty.
        floors: Families that a useful one must beat.
        primary: Metric of the comparisons.
        margin: Differences within this much count as equal.
        resamples: Draws of the bootstrap.
        rope: Whether to add how probable it is that a difference matters.
        unit: On what families are compared.
        aggregation: How the samples of a case or a patient become one answer.
        seed: Of the draws.
        patient_known: Whether it is known which samples show the same patient.

    Raises:
        BadData: The predictions cannot be judged; the message says why.
        BadSpec: The primary metric is unknown or not for this task.
    """

    def judged(role: tables.Role, resamples: int, unit: levels.Wanted) -> Judgement:
        return judge(
            predictions, task, primary=primary, margin=margin, resamples=resamples, seed=seed, role=role,
            patient_known=patient_known, practical=rope, floors=floors, unit=unit, aggregation=aggregation,
        )  # fmt: skip

    outcome, valid = judged("test", resamples, unit), None
    if (predictions["role"] == "valid").any():
        valid = judged("valid", VALID_RESAMPLES, outcome.unit)
    decision = verdict(
        outcome.scores, outcome.comparisons, trials, valid.scores if valid else tables.empty(tables.SCORES),
        task, primary, margin, floors,
        valid_comparisons=valid.comparisons if valid else None, selection=outcome.selection,
    )  # fmt: skip
    return outcome, decision.replaced(combined=levels.record(outcome.rules))
