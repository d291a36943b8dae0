"""What rows add up to, for many weightings at once: hits, calls, squared errors, gaps of calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds.compiled import compiled
from grandrounds.shapes import ClassIndex, Probs

N_BINS = 15  # of the calibration error


@dataclass(frozen=True, slots=True)
class Marks:
    """What each row adds.

    Args:
        unit: (N,) whose weight counts for the row.
        places: (N, 3) true class, called class, bin of the highest probability.
        amounts: (N, 4) squared error, -log of the true class's probability, squared distance between the true and the
            called class, and highest probability minus right or wrong.
        n_classes: K.
    """

    unit: NDArray[np.int64]
    places: NDArray[np.int64]
    amounts: NDArray[np.float64]
    n_classes: int


class Counts(NamedTuple):
    """Sums under R weightings."""

    hits: NDArray[np.float64]  # (K, R) weight of the rows of a class that are called so
    truths: NDArray[np.float64]  # (K, R) weight of the rows of a class
    calls: NDArray[np.float64]  # (K, R) weight of the rows called a class
    sums: NDArray[np.float64]  # (3, R), named below
    gaps: NDArray[np.float64]  # (15, R) highest probability minus right or wrong, by bin of the probability

    @property
    def squares(self) -> NDArray[np.float64]:
        """Squared errors, summed over rows and classes, (R,)."""
        return np.asarray(self.sums[0])

    @property
    def surprise(self) -> NDArray[np.float64]:
        """-log of the true class's probability, summed, (R,)."""
        return np.asarray(self.sums[1])

    @property
    def distance(self) -> NDArray[np.float64]:
        """Squared distance between the true and the called class, summed, (R,)."""
        return np.asarray(self.sums[2])


def mark(label: ClassIndex, probs: Probs, unit: NDArray[np.int64]) -> Marks:
    """Return what each row adds; the first of several equally probable classes is the one called."""
    n, n_classes = probs.shape
    called, best = probs.argmax(axis=1), probs.max(axis=1, initial=0.0)
    bins = np.minimum((best * N_BINS).astype(np.int64), N_BINS - 1)
    squares = ((probs - np.eye(n_classes)[label]) ** 2).sum(axis=1)
    surprise = -np.log(np.clip(probs[np.arange(n), label], np.finfo(np.float64).eps, 1.0))
    distance = (label - called).astype(np.float64) ** 2
    amounts = np.stack([squares, surprise, distance, best - (label == called)], axis=1)  # (N, 4)
    return Marks(unit, np.stack([label, called, bins], axis=1), amounts, n_classes)


def count(marks: Marks, weights: NDArray[Any]) -> Counts:
    """Return the sums under weights (units, R)."""
    return Counts(*_count(marks.unit, marks.places, marks.amounts, marks.n_classes, np.ascontiguousarray(weights)))


@compiled
def _count(
    unit: NDArray[np.int64],
    places: NDArray[np.int64],
    amounts: NDArray[np.float64],
    n_classes: int,
    weights: NDArray[Any],
) -> tuple[NDArray[np.float64], ...]:
    n_weightings = weights.shape[1]
    hits = np.zeros((n_classes, n_weightings))
    truths = np.zeros((n_classes, n_weightings))
    calls = np.zeros((n_classes, n_weightings))
    sums = np.zeros((3, n_weightings))
    gaps = np.zeros((N_BINS, n_weightings))
    for i in range(len(unit)):
        row = weights[unit[i]]
        true, called, at = places[i]
        square, surprise, distance, gap = amounts[i]
        hit = 1.0 if true == called else 0.0
        for r in range(n_weightings):
            weight = float(row[r])
            hits[true, r] += hit * weight
            truths[true, r] += weight
            calls[called, r] += weight
            sums[0, r] += square * weight
            sums[1, r] += surprise * weight
            sums[2, r] += distance * weight
            gaps[at, r] += gap * weight
    return hits, truths, calls, sums, gaps
