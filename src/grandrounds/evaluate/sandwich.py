"""Intervals from a cluster-sandwich error, for metrics that would take too long to fit anew in every resample.

To first order a fitted value moves by the sum of what each patient's samples pull it. The pulls of a patient are
added up over samples, folds, repeats and seeds before they are squared, so that the interval is clustered by
patient just as the bootstrap's is. Bounds are estimate ± t · error, t with one degree of freedom less than patients
carry the value: a slope is known as well as the rarer side is.

Assumes: patients are independent of one another and not few; the fitted models are given.

Reference: Liang & Zeger, Biometrika 73:13 (1986); Cameron & Miller, Journal of Human Resources 50:317 (2015)
for t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from grandrounds import registry
from grandrounds.evaluate.bootstrap import Column, mean_where_defined
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.metrics import sheet


@dataclass(frozen=True, slots=True)
class Sandwich:
    """One metric of one family, for each class.

    Args:
        estimate: (K,) mean over the folds and seeds where it is defined.
        half_width: (K,) of the interval; NaN where one patient alone decides.
        by_group: (groups, K) the value in each fold and seed.
    """

    estimate: NDArray[np.float64]
    half_width: NDArray[np.float64]
    by_group: NDArray[np.float64]


def sandwich(cohort: Cohort, family: str, entry: MetricEntry, level: float = 0.05) -> Sandwich:
    """Return a metric of a family with the half width of its interval.

    Args:
        cohort: What is judged.
        family: One of its families.
        entry: A metric that has an `influence`.
        level: What the interval leaves out.
    """
    measure, influence = registry.load(entry.measure), registry.load(entry.influence or "")
    once = np.ones((len(cohort.patients), 1), np.uint8)
    groups = cohort.of(family)
    tallies = [sheet(group.label, group.probs, group.patient).tally(once) for group in groups]
    by_group = np.stack([measure(rows)[:, 0] for rows in tallies])  # (groups, K)
    pulls = mean_where_defined([influence(rows) for rows in tallies])  # (K, P)
    present = len(np.unique(np.concatenate([group.patient for group in groups])))
    half_width = np.full(by_group.shape[1], np.nan)
    if present > 1:
        carriers = Carriers.of(cohort, family)
        n_carriers = np.array([carriers.number(Column(entry, label, ())) for label in cohort.task.classes])
        error = np.sqrt(present / (present - 1) * (pulls**2).sum(axis=1))
        half_width = stdtrit(np.maximum(n_carriers - 1, 1), 1 - level / 2) * error
    return Sandwich(mean_where_defined(list(by_group[:, :, None]))[:, 0], half_width, by_group)
