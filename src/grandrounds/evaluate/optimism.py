"""What the best of several families would score on new patients: bootstrap bias-corrected selection.

The leader was picked on the very cases that score it, and the best of k scores too well even where all k are equal. In
each resample of the patients the best family is picked on those that were drawn and scored on those that were not; the
mean of these scores is free of the picking. Nothing is trained again.

Assumes: patients are independent of one another; the fitted models are given. It is a little low rather than high: a
resample holds about 63 % of the patients, and picks less well than all of them would.

Reference: Tsamardinos et al., Machine Learning 107:1895 (2018), BBC-CV, here with patients instead of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.answer import Selection
from grandrounds.evaluate.bootstrap import BLOCK, draw
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.overall import overall, sheets_of


def selection(
    cohorts: Sequence[Cohort], entry: MetricEntry, draws: int, seed: int, *, without: Collection[str] = ()
) -> Selection | None:
    """Return the best family's score corrected for the picking; None where there is nothing to pick from.

    Args:
        cohorts: What is judged: one task, or several among the same patients, whose mean is then the score.
        entry: The metric that picks.
        draws: Resamples; a thousand are plenty for a mean.
        seed: Of the draws.
        without: Families that nobody would pick, such as floors. Those that did not finish every fold and seed are left
            out as well.
    """
    families = tuple(
        one for one in cohorts[0].families if one not in without and all(of.is_whole(one) for of in cohorts)
    )
    sheets = [(cohort.task, [sheets_of(cohort, family) for family in families]) for cohort in cohorts]
    if len(families) < 2:
        return None

    def measured(weights: NDArray[Any]) -> NDArray[np.float64]:
        by_task = [[overall(own, entry, task, weights) for own in rows] for task, rows in sheets]  # (T, F, R)
        return np.asarray(np.mean(by_task, axis=0))  # (F, R)

    sign = 1 if entry.better == "higher" else -1
    picked, scores = [], []
    for block in range(-(-draws // BLOCK)):
        drawn = draw(len(cohorts[0].patients), seed, block)
        inside, outside = sign * measured(drawn), measured((drawn == 0).astype(np.uint8))
        best = np.where(np.isnan(inside), -np.inf, inside).argmax(axis=0)  # (R,)
        picked.append(best)
        scores.append(np.take_along_axis(outside, best[None], axis=0)[0])
    best, score = np.concatenate(picked)[:draws], np.concatenate(scores)[:draws]
    defined = ~np.isnan(score)
    whole = measured(np.ones((len(cohorts[0].patients), 1), np.uint8))[:, 0]
    if not defined.any() or np.isnan(whole).all():
        return None
    low, high = np.quantile(score[defined], (0.025, 0.975))
    return Selection(
        families=families, estimate=sign * np.nanmax(sign * whole), corrected=score[defined].mean(), low=low, high=high,
        picked=tuple(np.bincount(best[defined], minlength=len(families)) / defined.sum()), draws=int(defined.sum()),
    )  # fmt: skip
