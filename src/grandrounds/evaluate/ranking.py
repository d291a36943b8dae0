"""ROC AUC and average precision for many weightings at once.

Rows are sorted once; then one pass down the ranking serves all R weightings abreast, so that the inner loops are plain
vector additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.compiled import compiled
from grandrounds.shapes import ClassIndex, Probs

POSITIVE, OPENS, CLOSES = 1, 2, 4  # flags of a row; the last two only at ties that hold a positive row
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows sorted by the probability of each class, highest first.

    Args:
        unit: (K, N) whose weight counts for the row.
        flags: (K, N) whether the row is positive, opens or closes a tie that holds a positive row.
        true: (K, N) true class of the row.
    """

    unit: NDArray[np.int64]
    flags: NDArray[np.uint8]
    true: NDArray[np.int64]


def rank(label: ClassIndex, probs: Probs, unit: NDArray[np.int64]) -> Ranking:
    """Return the rows sorted once for every class."""
    n, n_classes = probs.shape
    units = np.empty((n_classes, n), np.int64)
    flags = np.empty((n_classes, n), np.uint8)
    true = np.empty((n_classes, n), np.int64)
    for klass in range(n_classes):
        order = np.argsort(-probs[:, klass], kind="stable")
        positive = label[order] == klass
        score = probs[order, klass]
        opens = np.r_[True, score[1:] != score[:-1]][:n]
        tie = np.cumsum(opens) - 1
        matters = np.bincount(tie, weights=positive, minlength=1)[tie] > 0
        closes = np.r_[opens[1:], True][:n]
        units[klass], true[klass] = unit[order], label[order]
        flags[klass] = POSITIVE * positive + OPENS * (opens & matters) + CLOSES * (closes & matters)
    return Ranking(units, flags, true)


def sweep(ranking: Ranking, weights: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return AUC and average precision, each (K, R), under the weights (units, R); NaN where undefined."""
    weights = np.ascontiguousarray(weights)
    by_class = [_descend(unit, flags, weights) for unit, flags in zip(ranking.unit, ranking.flags, strict=True)]
    return np.stack([auc for auc, _ in by_class]), np.stack([precision for _, precision in by_class])


@compiled
def _descend(
    unit: NDArray[np.int64], flags: NDArray[np.uint8], weights: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return AUC and average precision of one class, each (R,), in one pass down its ranking."""
    n_weightings = weights.shape[1]
    above = np.zeros(n_weightings)  # weight of the negatives so far
    found = np.zeros(n_weightings)  # weight of the positives so far
    start = np.zeros(n_weightings)  # `above` when the tie began
    tied = np.zeros(n_weightings)  # weight of the positives within the tie
    lost = np.zeros(n_weightings)  # pairs in the wrong order
    gain = np.zeros(n_weightings)
    for i in range(len(unit)):
        row = weights[unit[i]]
        if flags[i] & OPENS:
            for r in range(n_weightings):
                start[r] = above[r]
                tied[r] = 0.0
        target = tied if flags[i] & POSITIVE else above
        for r in range(n_weightings):
            target[r] += row[r]
        if flags[i] & CLOSES:
            for r in range(n_weightings):
                found[r] += tied[r]
                lost[r] += tied[r] * 0.5 * (start[r] + above[r])
                gain[r] += tied[r] * found[r] / max(found[r] + above[r], _TINY)
    auc = np.full(n_weightings, np.nan)
    precision = np.full(n_weightings, np.nan)
    for r in range(n_weightings):
        if found[r] > 0:
            precision[r] = gain[r] / found[r]
            if above[r] > 0:
                auc[r] = 1.0 - lost[r] / found[r] / above[r]
    return auc, precision
