"""Intervals from resamples: on the log odds for what lies between 0 and 1, percentiles for all else.

Close to the end of its scale a share is skewed, and percentiles of its resamples do not reach as far as they should: of
a true AUC of 0.98 they cover 84 to 92 % instead of 95 %. Therefore the standard error of the resamples is taken to the
log odds, with Student's t for the patients who carry the value (`benchmarks/interval_coverage.py` prints what either
covers). Where nothing was missed at all no resample differs, and there is no error to estimate; then n patients
without a miss allow values down to `0.025 ** (1 / n)`, after Clopper and Pearson. For an AUC these are pairs of a
patient of the class and one of the others, of which as many are independent as the rarer side has patients.

Assumes: patients are independent.

Reference: Agresti, Categorical Data Analysis (2002), §3.1.6 and §1.4; Obuchowski & Lieber, Academic Radiology 9:526
(2002) for an area of 1; Newcombe, Statistics in Medicine 17:2635 (1998) and Zou & Donner, ibid. 27:1693 (2008) for
differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from grandrounds.evaluate.bootstrap import Column, interval
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort

_NOTHING = 1e-12  # below, a spread or a distance is rounding

Bounds = tuple[float, float]


def bounds(entry: MetricEntry, estimate: float, values: NDArray[np.float64], n_carriers: int) -> Bounds:
    """Return the 95 % interval of one number; NaN where the number or every resample is undefined.

    Args:
        entry: The metric.
        estimate: Its value.
        values: (R,) resamples.
        n_carriers: Patients who carry it, see `carriers`; not asked for where the metric is no share.
    """
    if np.isnan(estimate):
        return np.nan, np.nan
    return interval(values) if entry.carried_by is None else of_share(estimate, values, n_carriers)


def of_share(estimate: float, values: NDArray[np.float64], n_carriers: int, level: float = 0.05) -> Bounds:
    """Return the interval of a value between 0 and 1 that leaves out `level`.

    >>> of_share(1.0, np.ones(99), n_carriers=60)[0].__round__(3)
    0.94
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.nan, np.nan
    if min(estimate, 1 - estimate) < _NOTHING:
        least = (level / 2) ** (1 / max(n_carriers, 1))
        return (least, 1.0) if estimate > 0.5 else (0.0, 1 - least)
    spread = float(defined.std())
    if spread < _NOTHING:  # the same whoever is drawn, as the prior's AUC
        return estimate, estimate
    half = student.ppf(1 - level / 2, max(n_carriers - 1, 1)) * spread / (estimate * (1 - estimate))
    return float(expit(logit(estimate) - half)), float(expit(logit(estimate) + half))


def of_difference(one: NDArray[np.float64], other: NDArray[np.float64], own: tuple[Bounds, Bounds],
                  estimates: tuple[float, float], level: float) -> Bounds:  # fmt: skip
    """Return the interval of a paired difference of two shares, no shorter than their own intervals allow.

    These are percentiles of the paired differences. Where one of the two reaches the end of its scale in so many
    resamples that its own percentiles stop there, what follows from the two intervals is added, unless the difference
    excludes 0 without it.

    Args:
        one: (R,) resamples.
        other: (R,) resamples of the other.
        own: Interval of each.
        estimates: Value of each.
        level: What is left out.
    """
    low, high = interval(one - other, level)
    at_end = max(float((np.minimum(values, 1 - values) < _NOTHING).mean()) for values in (one, other))
    if at_end <= level / 2 or low > 0 or high < 0:
        return low, high
    (low_a, high_a), (low_b, high_b) = own
    a, b = estimates
    spread = one.std() * other.std()
    tie = float(np.cov(one, other, ddof=0)[0, 1] / spread) if spread > _NOTHING else 0.0
    down = _joined(a - low_a, high_b - b, tie)
    up = _joined(high_a - a, b - low_b, tie)
    return min(low, a - b - down), max(high, a - b + up)


def _joined(one: float, other: float, tie: float) -> float:
    return float(np.sqrt(max(one**2 + other**2 - 2 * tie * one * other, 0.0)))


def carriers(cohort: Cohort, family: str, column: Column) -> int:
    """Return how many patients carry a number: of several classes or sides, the fewest.

    >>> from grandrounds.evaluate.catalogue import METRICS
    >>> from grandrounds.evaluate.cohort import Group
    >>> from grandrounds.tables import Task
    >>> task = Task(kind="binary", classes=("well", "ill"), positive="ill")
    >>> group = Group("f", 0, 0, 0, np.array([0, 0, 1]), np.eye(2)[[0, 0, 1]], np.arange(3), ("x", "y", "z"))
    >>> cohort = Cohort(task, ("p", "q", "r"), (group,))
    >>> [carriers(cohort, "f", Column(METRICS.get(name), None, (1,))) for name in ("accuracy", "auc")]
    [3, 1]
    """
    groups, carried_by = cohort.of(family), column.entry.carried_by
    patient = np.concatenate([group.patient for group in groups])
    if carried_by in (None, "everyone"):
        return len(np.unique(patient))
    label = np.concatenate([group.label for group in groups])
    called = np.concatenate([group.probs.argmax(axis=1) for group in groups])
    sides = {
        "class": (label, (True,)), "others": (label, (False,)), "both": (label, (True, False)),
        "called": (called, (True,)), "uncalled": (called, (False,)),
    }  # fmt: skip
    of_row, wanted = sides[str(carried_by)]
    return min(
        len(np.unique(patient[(of_row == klass) == inside])) for klass in _classes(cohort, column) for inside in wanted
    )


def _classes(cohort: Cohort, column: Column) -> Iterator[int]:
    classes: Sequence[str] = cohort.task.classes
    positive = positive_of(cohort.task)
    if column.label is not None:
        yield classes.index(column.label)
    elif column.entry.overall == "positive" and positive is not None:
        yield classes.index(positive)
    else:
        yield from range(len(classes))
