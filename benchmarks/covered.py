"""Whether intervals of simulated studies hold the truth, for the benchmarks that count how often they do."""

from __future__ import annotations

import numpy as np

from grandrounds.evaluate.bootstrap import interval, resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers

METHODS = ("shown", "percentiles")


def held(cohort, entries, truth, seed, draws):
    """Return whether the interval that is shown and percentiles hold each true value, (metrics, methods); NaN for none.

    Args:
        cohort: Of one family.
        entries: Metrics with one overall value.
        truth: (metrics,).
        seed: Of the draws.
        draws: How many.
    """
    drawn = resample(cohort, draws, seed, metrics=entries, threads=1)
    at = [drawn.at(entry.name) for entry in entries]
    carriers = Carriers.of(cohort, cohort.families[0])
    ends = np.array([[bounds(drawn, 0, one, carriers), interval(drawn.values[0, one])] for one in at])
    inside = (ends[..., 0] <= truth[:, None]) & (truth[:, None] <= ends[..., 1])
    return np.where(np.isnan(ends).any(axis=2), np.nan, inside)


def coverage(n, study, entries, truth, draws):
    """Return the share of n studies whose intervals hold the truth, of those that give one, (metrics, methods).

    Args:
        n: How many.
        study: From a seed to a cohort.
        entries: As for `held`.
        truth: As for `held`.
        draws: As for `held`.
    """
    return np.nanmean([held(study(seed), entries, truth, seed, draws) for seed in range(n)], axis=0)
