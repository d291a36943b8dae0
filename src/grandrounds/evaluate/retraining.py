"""What training adds: the spread over folds and over seeds, and an interval for training anew on other patients.

The intervals of the scores take the fitted models as they are. Folds and seeds show some of what other fitted models
would have scored. Their spread is not an error of the mean, since training sets of different folds share most of their
patients. The corrected resampled t-interval makes up for that sharing with the ratio of tested to trained patients.

Assumes: the correlation between folds is about that ratio's; there are at least two folds whose test patients are
disjoint within a repeat. It is known to be careful rather than exact.

Reference: Nadeau & Bengio, Machine Learning 52:239 (2003); Bouckaert & Frank, PAKDD (2004), for repeated folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from grandrounds.evaluate.cohort import Group


@dataclass(frozen=True, slots=True)
class Spread:
    """How several values of one number differ; `low` and `high` are the least and the greatest, or an interval's."""

    estimate: float
    low: float
    high: float
    error: float
    n: int


def over_folds(groups: Sequence[Group], values: NDArray[np.float64]) -> Spread:
    """Return the spread over repeats and folds, seeds averaged first; the error is their standard deviation.

    Args:
        groups: Of one family.
        values: (groups,) a number of each; undefined ones do not count.
    """
    return _spread(_means(values, [group.cell for group in groups]))


def over_seeds(groups: Sequence[Group], values: NDArray[np.float64]) -> Spread:
    """Return the spread over seeds, folds averaged first; arguments as for `over_folds`."""
    return _spread(_means(values, [group.seed for group in groups]))


def anew(groups: Sequence[Group], values: NDArray[np.float64], tested_to_trained: float, level: float = 0.05) -> Spread:
    """Return the corrected resampled t-interval of the mean over folds; NaN with fewer than two.

    Args:
        groups: Of one family.
        values: (groups,) a number of each; undefined ones do not count.
        tested_to_trained: Patients tested on by patients trained on, in one fold.
        level: What the interval leaves out.
    """
    means = _means(values, [group.cell for group in groups])
    if len(means) < 2:
        return Spread(float(means.mean()) if len(means) else np.nan, np.nan, np.nan, np.nan, len(means))
    error = float(np.sqrt((1 / len(means) + tested_to_trained) * means.var(ddof=1)))
    half = float(stdtrit(len(means) - 1, 1 - level / 2)) * error
    return Spread(float(means.mean()), float(means.mean()) - half, float(means.mean()) + half, error, len(means))


def tested_to_trained(groups: Sequence[Group], n_valid: float) -> float:
    """Return the patients tested on by those trained on, in a fold on average; NaN where folds do not divide them.

    Args:
        groups: Of one family; of others, too, where it lacks folds that they have, its own last.
        n_valid: Patients of valid in a fold, on average; they are not trained on.
    """
    folds = {group.cell: np.unique(group.patient) for group in groups}
    first = min(repeat for repeat, _ in folds)
    tested = [patients for (repeat, _), patients in folds.items() if repeat == first]
    everybody = np.concatenate(tested)
    mean = len(everybody) / len(tested)
    trained = len(everybody) - mean - n_valid
    divided = len(tested) > 1 and len(np.unique(everybody)) == len(everybody)
    return mean / trained if divided and trained > 0 else float("nan")


def _means(values: NDArray[np.float64], by: Sequence[object]) -> NDArray[np.float64]:
    parts: dict[object, list[float]] = {}
    for key, value in zip(by, values, strict=True):
        if np.isfinite(value):
            parts.setdefault(key, []).append(float(value))
    return np.array([np.mean(part) for part in parts.values()])


def _spread(means: NDArray[np.float64]) -> Spread:
    if not len(means):
        return Spread(np.nan, np.nan, np.nan, np.nan, 0)
    error = float(means.std(ddof=1)) if len(means) > 1 else np.nan
    return Spread(float(means.mean()), float(means.min()), float(means.max()), error, len(means))
