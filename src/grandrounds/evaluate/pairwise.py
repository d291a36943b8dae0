"""The pairwise AUC of several classes: every class against every other, and neither against a crowd.

For two classes i and j, the probability of i tells a row of i from a row of j with an AUC of its own, and so does that
of j; M is the mean over all ordered pairs. Unlike the one-vs-rest mean it does not change where a class becomes rarer.

Reference: Hand & Till, Machine Learning 45:171 (2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.compiled import compiled
from grandrounds.evaluate.metrics import Tally, Values
from grandrounds.evaluate.ranking import CLOSES, OPENS


def pairwise_auc(rows: Tally) -> Values:
    """Return the mean AUC over all ordered pairs of classes, ties counted half, (R,); NaN where a class is absent."""
    ranking, weights = rows.sheet.ranking, np.ascontiguousarray(rows.weights)
    lost = np.stack(
        [
            _lost(unit, flags, true, klass, len(ranking.unit), weights)
            for klass, (unit, flags, true) in enumerate(zip(ranking.unit, ranking.flags, ranking.true, strict=True))
        ]
    )  # (K, K, R)
    pairs = rows.truths[:, None] * rows.truths  # (K, K, R)
    auc = 1.0 - np.divide(lost, pairs, out=np.full(lost.shape, np.nan), where=pairs > 0)
    return np.asarray(auc[~np.eye(len(lost), dtype=bool)].mean(axis=0))


@compiled
def _lost(
    unit: NDArray[np.int64],
    flags: NDArray[np.uint8],
    true: NDArray[np.int64],
    klass: int,
    n_classes: int,
    weights: NDArray[Any],
) -> NDArray[np.float64]:
    """Return the weight of the pairs in the wrong order, of one class with each class, in one pass down, (K, R)."""
    n_weightings = weights.shape[1]
    above = np.zeros((n_classes, n_weightings))  # weight of the rows of each class so far
    start = np.zeros((n_classes, n_weightings))  # `above` when the tie began
    lost = np.zeros((n_classes, n_weightings))
    tied = np.zeros(n_weightings)  # weight of the class's own rows within the tie
    for i in range(len(unit)):
        row = weights[unit[i]]
        if flags[i] & OPENS:
            start[:] = above
            tied[:] = 0.0
        if true[i] == klass:
            tied += row
        above[true[i]] += row
        if flags[i] & CLOSES:
            for other in range(n_classes):
                for r in range(n_weightings):
                    lost[other, r] += tied[r] * 0.5 * (start[other, r] + above[other, r])
    return lost
