"""The region of practical equivalence: how probable it is that a difference matters, by the Bayesian bootstrap.

The patients that were seen stand for all patients with shares that nobody knows; under a flat prior these are
Dirichlet(1, …, 1). Each draw of the shares weighs all samples of a patient, for every family alike, and gives one
difference. The share of draws above the margin is the probability that a is better by more than that, the share within
the margin that the families are practically equivalent.

This one is chosen, and not the correlated t-test over folds and seeds (Corani & Benavoli 2015), because patients are
what a study draws: it works with one split, one seed and on a CSV of anybody's predictions, and it needs no guess of
the correlation between overlapping training sets. What it leaves out is the same as with every interval here: training
anew.

The shares of few patients are too sure of themselves: they take the spread among those who were seen for that among
all. A mean of which neither is known has Student's t for its posterior, so each draw is set as much farther out, or
nearer in, as a spread that so many patients would show by chance. And shares of those who were seen know of no error
that was not: where hardly any was, the draws are set out to what the deciding method leaves open.

Assumes: patients are independent of one another; the fitted models are given.

Reference: Rubin, Annals of Statistics 9:130 (1981); Kruschke, Advances in Methods and Practices in Psychological
Science 1:270 (2018) and Benavoli et al., Journal of Machine Learning Research 18:77 (2017) for the region; Gelman et
al., Bayesian Data Analysis (2013), §3.2 for t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.evaluate.bootstrap import BLOCK, interval
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.overall import overall, sheets_of

METHOD = "Bayesian bootstrap of patients"
SURE = 0.95  # probability from which a word is said
_SAME = 1e-12  # draws that differ by less do so by rounding


@dataclass(frozen=True, slots=True)
class Practical:
    """What is believed of the difference a minus b.

    Args:
        low: Of the central 95 % credible interval; NaN as all else where the metric is undefined, or no draw differs.
        high: Of the same.
        better: Probability that a is better by more than the margin.
        equivalent: Probability that the difference lies within the margin.
        worse: Probability that a is worse by more than the margin.
    """

    low: float
    high: float
    better: float
    equivalent: float
    worse: float

    @property
    def word(self) -> str:
        """What is at least 95 % probable, else "undecided"."""
        likely = (name for name in ("better", "equivalent", "worse") if getattr(self, name) >= SURE)
        return next(likely, "undecided")


def posterior(cohort: Cohort, entry: MetricEntry, draws: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return draws of the metric's value for each family, (R,), paired across families."""
    sheets = {family: sheets_of(cohort, family) for family in cohort.families}
    drawn: dict[str, list[NDArray[np.float64]]] = {family: [] for family in sheets}
    for block in range(-(-draws // BLOCK)):
        shares = _shares(len(cohort.patients), seed, block)
        for family, own in sheets.items():
            drawn[family].append(overall(own, entry, cohort.task, shares))
    return {family: np.concatenate(values)[:draws] for family, values in drawn.items()}


def stretched(differences: NDArray[np.float64], n: int, seed: int) -> NDArray[np.float64]:
    """Return draws of a difference as far apart as n patients leave it open, (R,).

    >>> draws = np.random.default_rng(0).normal(size=9999)
    >>> bool(stretched(draws, 6, 0).std() > 1.4), bool(stretched(draws, 6000, 0).std() < 1.01)
    (True, True)
    """
    freedom = max(n, 2) - 1
    shown = seeds.generator(seed, "spread").chisquare(freedom, len(differences)) / freedom
    centre = np.nanmean(differences) if not np.isnan(differences).all() else 0.0
    return np.asarray(centre + (differences - centre) * np.sqrt((freedom + 2) / freedom / shown))


def reaching(differences: NDArray[np.float64], ends: tuple[float, float]) -> NDArray[np.float64]:
    """Return draws of a difference whose central 95 % reach as far as these ends on either side, (R,).

    Args:
        differences: (R,) draws that differ.
        ends: Not nearer to their mean than theirs are.

    >>> interval(reaching(np.arange(-19.0, 20.0), (-38.0, 19.0)))
    (-38.0, 19.0)
    """
    centre, own = np.nanmean(differences), interval(differences)
    if not own[0] < centre < own[1]:
        return differences
    down, up = ((end - centre) / (at - centre) for end, at in zip(ends, own, strict=True))
    apart = differences - centre
    return np.asarray(centre + apart * np.where(apart < 0, down, up))


def practical(differences: NDArray[np.float64], margin: float, sign: int) -> Practical:
    """Return what draws of the difference a minus b say.

    Args:
        differences: (R,); undefined ones do not count.
        margin: Half the width of what counts as equal.
        sign: 1 where higher values of the metric are better, -1 where lower ones are.

    >>> practical(np.array([0.01, 0.03, 0.04, 0.05]), 0.02, 1).better
    0.75
    """
    drawn = differences[~np.isnan(differences)]
    if not len(drawn) or np.ptp(drawn) < _SAME:
        # Without a miss on either side no weights change anything, which tells nothing.
        return Practical(*[float("nan")] * 5)
    ahead = sign * drawn
    shares = (ahead > margin).mean(), (np.abs(ahead) <= margin).mean(), (ahead < -margin).mean()
    return Practical(*interval(drawn), *(float(share) for share in shares))


def _shares(n_patients: int, seed: int, block: int) -> NDArray[np.float64]:
    """Return the patients' shares times their number in each draw of one block, (P, 256)."""
    drawn = seeds.generator(seed, "posterior", block=block).standard_exponential((n_patients, BLOCK))
    return np.asarray(drawn / drawn.mean(axis=0))
