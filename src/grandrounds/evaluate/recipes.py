"""Recipes of one family on the cases that tuning looks at: a value each, and its paired difference from the usual one.

Intervals and verdicts are the judge's: patients are drawn jointly for all recipes, folds and seeds, and Holm's
procedure corrects for the number of recipes that are held against the usual one. Nothing corrects the value of the best
for its having been picked by the cases that score it.

Assumes: as the bootstrap, that patients are independent and the fitted models are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from grandrounds.evaluate.bootstrap import Replicates, resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import METRICS, MetricEntry, primary_for
from grandrounds.evaluate.cohort import Cohort, assemble
from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.pairs import paired
from grandrounds.tables import Role, Task

RESAMPLES = 2000
_DIFFERENCE = {"difference": "difference", "low": "difference_low", "high": "difference_high"}


def compared(
    predictions: pl.DataFrame, task: Task, *, role: Role, primary: str, margin: float, usual: str | None, seed: int = 0
) -> pl.DataFrame:
    """Return one row a recipe: `mean, low, high, sd, log_loss` and its difference from the usual one with the verdict.

    Args:
        predictions: Table `predictions`, whose families are the recipes.
        task: What was to be told.
        role: Which rows are looked at.
        primary: The metric that decides.
        margin: Differences within this much count as equal.
        usual: The recipe that the others are held against; None for none.
        seed: Of the draws.

    Raises:
        BadSpec: The metric cannot decide.
    """
    entry, log_loss = primary_for(task, primary), METRICS.get("log_loss")
    cohort = assemble(predictions, task, role)
    replicates = resample(cohort, RESAMPLES, seed, metrics=tuple(dict.fromkeys((entry, log_loss))))
    rows = [_row(cohort, replicates, place, entry) for place in range(len(replicates.families))]
    pairs = paired(cohort, replicates, entry, seed, against=usual) if usual in cohort.families else []
    frame = pl.DataFrame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))
    if not pairs:
        return frame.with_columns(pl.lit(None).alias(name) for name in (*_DIFFERENCE.values(), "verdict"))
    told = compare(cohort, pairs, entry, margin).select("family_a", "verdict", *_DIFFERENCE).rename(_DIFFERENCE)
    return frame.join(told, left_on="family", right_on="family_a", how="left", maintain_order="left")


def _row(cohort: Cohort, replicates: Replicates, place: int, entry: MetricEntry) -> dict[str, Any]:
    family, at = replicates.families[place], replicates.at(entry.name)
    column = replicates.columns[at]
    estimate = float(replicates.estimate[place, at])
    low, high = bounds(replicates, place, at, Carriers.of(cohort, family))
    of_trials = replicates.by_group[place][:, list(column.cells)].mean(axis=1)
    defined = of_trials[np.isfinite(of_trials)]
    return {
        "family": family, "mean": estimate, "low": low, "high": high,
        "sd": float(defined.std(ddof=1)) if len(defined) > 1 else None,
        "log_loss": float(replicates.estimate[place, replicates.at("log_loss")]),
    }  # fmt: skip
