"""One number under many weightings: what permutations, posterior draws and resamples have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds import registry
from grandrounds.evaluate.bootstrap import layout, mean_where_defined
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.metrics import Sheet, sheet
from grandrounds.tables import Task


def overall(sheets: Sequence[Sheet], entry: MetricEntry, task: Task, weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the overall value of a metric, the mean over the sheets where it is defined, (R,).

    Args:
        sheets: One for each fold and seed.
        entry: A metric that has an overall value.
        task: What was to be told.
        weights: (units, R).
    """
    measure = registry.load(entry.measure)
    average = mean_where_defined([np.atleast_2d(measure(one.tally(weights))) for one in sheets])  # (cells, R)
    return np.asarray(average[list(layout(task, (entry,))[0].cells)].mean(axis=0))


def sheets_of(cohort: Cohort, family: str) -> list[Sheet]:
    """Return the rows of a family, made ready to be weighted by patient, one sheet for each fold and seed."""
    return [sheet(group.label, group.probs, group.patient) for group in cohort.of(family)]
