"""From predictions to an answer: test is judged, valid chooses what ships, and both are put into words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from grandrounds import tables
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.crossfit import NONE
from grandrounds.evaluate.gate import Ready, as_shipped, recalibrated
from grandrounds.evaluate.judge import Judgement, judge
from grandrounds.evaluate.several import all_tasks, judge_several
from grandrounds.evaluate.verdict import verdict
from grandrounds.tables import Task

VALID_RESAMPLES = 2000  # what ships is chosen on valid, by its estimates and by who differs there


def answer(
    predictions: pl.DataFrame,
    task: Task | Sequence[Task],
    trials: pl.DataFrame,
    floors: Sequence[str],
    *,
    primary: str,
    margin: float,
    resamples: int,
    rope: bool,
    unit: levels.Wanted,
    aggregation: levels.Choice,
    readers: Collection[str] = (),
    seed: int = 0,
    patient_known: bool = True,
) -> tuple[Judgement, Verdict]:
    """Return what the test role shows, and the verdict; without valid rows nothing ships.

    Args:
        predictions: Table `predictions`.
        task: What was to be told; several tasks are answered together, on their mean.
        trials: Table `trials`, for the costs; may be empty.
        floors: Families that a useful one must beat.
        primary: Metric of the comparisons.
        margin: Differences within this much count as equal.
        resamples: Draws of the bootstrap.
        rope: Whether to add how probable it is that a difference matters.
        unit: On what families are compared.
        aggregation: How the samples of a case or a patient become one answer.
        readers: Families that are human readers: they are compared, and never ship.
        seed: Of the draws.
        patient_known: Whether it is known which samples show the same patient.

    Raises:
        BadData: The predictions cannot be judged; the message says why.
        BadSpec: The primary metric is unknown or not for this task.
    """
    whole, judging = _judging(predictions, task, rope=rope)

    def judged(role: tables.Role, resamples: int, unit: levels.Wanted) -> Judgement:
        return judging(
            primary=primary, margin=margin, resamples=resamples, seed=seed, role=role, patient_known=patient_known,
            floors=floors, unit=unit, aggregation=aggregation,
        )  # fmt: skip

    outcome, valid = judged("test", resamples, unit), None
    told = predictions.filter(role="valid")
    if told.height if isinstance(task, Task) else set(whole.classes) <= set(told["task"]):
        valid = judged("valid", VALID_RESAMPLES, outcome.unit)
    chooses, shipping = tables.empty(tables.SCORES), list[Ready | None]()
    if valid:
        models = [one for one in dict.fromkeys(valid.scores["family"]) if one not in readers]
        tasks = [task] if isinstance(task, Task) else task
        shipping = [as_shipped(predictions, one, outcome.unit, aggregation, primary, models, seed) for one in tasks]
        chooses = _of(whole, task, recalibrated(valid.scores, shipping))
    decision = verdict(
        outcome.scores.filter(task=whole.name), outcome.comparisons, trials, chooses, whole, primary, margin,
        floors, valid_comparisons=valid.comparisons if valid else None, selection=outcome.selection, readers=readers,
    )  # fmt: skip
    return _with_how(outcome, decision.replaced(combined=levels.record(outcome.rules)), shipping)


def _with_how(
    outcome: Judgement, decision: Verdict, shipping: Sequence[Ready | None]
) -> tuple[Judgement, Verdict]:  # fmt: skip
    """Return both with how probabilities are recalibrated; of several tasks each has its own way, and none is named."""
    made = shipping[0].told if len(shipping) == 1 and shipping[0] else {}
    method = made[decision.ships].best if decision.ships is not None and decision.ships in made else None
    said = f"`{decision.ships}` ships recalibrated ({method}), as it was looked at for this choice."
    sentences = decision.sentences if method in (None, NONE) else (*decision.sentences, said)
    return replace(outcome, recalibrations=made), decision.replaced(recalibration=method, sentences=sentences)


def _judging(
    predictions: pl.DataFrame, task: Task | Sequence[Task], *, rope: bool
) -> tuple[Task, Callable[..., Judgement]]:  # fmt: skip
    """Return what the answer is about, and what judges a role."""
    if isinstance(task, Task):
        return task, partial(judge, predictions, task, practical=rope)
    return all_tasks(task), partial(judge_several, predictions, task)


def _of(whole: Task, task: Task | Sequence[Task], scores: pl.DataFrame) -> pl.DataFrame:
    """Return the scores that choose what ships; a family that is badly calibrated in one of several tasks is so."""
    if isinstance(task, Task):
        return scores
    for_calibration = [
        scores.filter(
            pl.col("task") == one.name, pl.col("label").is_in([positive_of(one)] if positive_of(one) else one.classes)
        )
        for one in task
    ]
    return pl.concat([
        scores.filter(task=whole.name), *(rows.with_columns(label=pl.col("task")) for rows in for_calibration)
    ])  # fmt: skip
