"""The learning curve: what each family scores on the test role after training on parts of the patients.

Every part is scored as the whole is, on the same draws of test patients, so that points of a curve can be compared.
The training patients of a part are one draw; another draw of so few would score differently, which the interval does
not say.

Reference: Perlich, Learning curves in machine learning, Encyclopedia of Machine Learning (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import LEARNING, MetricEntry
from grandrounds.evaluate.cohort import assemble
from grandrounds.tables import Task, Unit

RESAMPLES = 2000


class Part(NamedTuple):
    """Predictions of the trials that were trained on one part of the patients.

    Args:
        n_patients: Mean over the folds.
        predictions: As the judge takes them.
    """

    n_patients: float
    predictions: pl.DataFrame


def learning(
    parts: Sequence[Part], task: Task, primary: MetricEntry, *, unit: Unit = "sample", seed: int = 0
) -> pl.DataFrame:
    """Return rows of the table `curves`: x patients in training, y the primary metric; undefined points are left out.

    Args:
        parts: In any order.
        task: What was to be told.
        primary: The metric.
        unit: What one row of the predictions is.
        seed: Of the draws.
    """
    rows = []
    for part in sorted(parts, key=lambda one: one.n_patients):
        cohort = assemble(part.predictions, task, "test", unit)
        drawn = resample(cohort, RESAMPLES, seed, metrics=(primary,))
        at = drawn.at(primary.name)
        for place, family in enumerate(drawn.families):
            y = float(drawn.estimate[place, at])
            if not np.isnan(y):
                low, high = bounds(drawn, place, at, Carriers.of(cohort, family))
                rows.append(
                    {"family": family, "task": task.name, "curve": LEARNING, "x": part.n_patients, "y": y,
                     "low": low, "high": high}
                )  # fmt: skip
    return tables.check(pl.DataFrame(rows, schema=dict(tables.CURVES.columns)), tables.CURVES)
