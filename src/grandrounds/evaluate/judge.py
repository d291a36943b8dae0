"""From predictions to scores, comparisons and curves, in one call.

>>> import polars as pl
>>> rows = pl.DataFrame({"sample": ["1", "2", "3", "4"], "patient": ["p", "q", "r", "s"], "family": "f"})
>>> rows = rows.with_columns(label=pl.Series(["a", "b", "a", "b"]), prob_a=pl.Series([0.9, 0.2, 0.6, 0.7]))
>>> rows = rows.with_columns(prob_b=1 - pl.col("prob_a"))
>>> judge(rows, Task(kind="binary", classes=("a", "b")), resamples=99).scores["estimate"][0]
0.75
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import polars as pl

from grandrounds.evaluate.answer import Selection
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import metrics_for, primary_for
from grandrounds.evaluate.cohort import Cohort, assemble
from grandrounds.evaluate.compare import ALPHA, compare
from grandrounds.evaluate.curves import curves
from grandrounds.evaluate.opinions import opinions
from grandrounds.evaluate.optimism import selection
from grandrounds.evaluate.score import score
from grandrounds.tables import Role, Task

PICKS = 1000  # draws of the correction for picking the best: it is a mean, not a tail
FEW_PATIENTS = 30  # fewer, and percentile intervals are visibly too short


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the predictions of one role show.

    Args:
        scores: Table `scores`.
        comparisons: Table `comparisons`, on the primary metric, with further methods beside the one that decides.
        curves: Table `curves`.
        notes: What a reader of the numbers must know.
        selection: The best family's score corrected for the picking; None where there is nothing to pick from.
    """

    scores: pl.DataFrame
    comparisons: pl.DataFrame
    curves: pl.DataFrame
    notes: tuple[str, ...]
    selection: Selection | None = None


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

    Raises:
        BadData: The predictions cannot be judged; the message says why.
        BadSpec: The primary metric is unknown or not for this task.
    """
    entry = primary_for(task, primary)
    cohort = assemble(predictions, task, role)
    replicates = resample(cohort, resamples, seed)
    drawn = "patient-clustered bootstrap" if patient_known else "bootstrap, assumes independent images"
    scores = score(
        cohort, replicates, method=f"{drawn}, percentile, {resamples} resamples",
        refitted=[one for one in metrics_for(task) if one.influence],
        refitted_method=f"{'cluster-sandwich' if patient_known else 'sandwich'} error, t"
        + ("" if patient_known else ", assumes independent images"),
    )  # fmt: skip
    if not patient_known:
        scores = scores.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))
    comparisons, picked = compare(cohort, replicates, entry, margin, seed), None
    if role != "valid":  # valid only chooses: it needs neither second opinions nor a correction
        further = opinions(cohort, entry, margin, resamples, seed, practical=practical)
        comparisons = pl.concat([comparisons, further], how="diagonal")
        picked = selection(cohort, entry, min(resamples, PICKS), seed, without=floors)
    notes = tuple(_notes(cohort, resamples, patient_known))
    return Judgement(scores, comparisons, curves(cohort, seed), notes, picked)


def _notes(cohort: Cohort, resamples: int, patient_known: bool) -> Iterator[str]:  # noqa: FBT001  (passed on)
    if not patient_known:
        yield "Every interval assumes independent images, because the patients are unknown."
    if len(cohort.patients) < FEW_PATIENTS:
        yield f"Only {len(cohort.patients)} patients: intervals from so few are too short more often than they say."
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
    n_pairs = len(cohort.families) * (len(cohort.families) - 1) // 2
    smallest = 2 / (resamples + 1) * n_pairs
    if smallest > ALPHA:
        yield f"With {resamples} resamples and {n_pairs} pairs no difference can be shown; ask for more resamples."
