"""What a Brier score is made of: Brier = reliability - resolution + uncertainty.

*Uncertainty* is what the frequencies of the classes leave open, whatever the model says. *Resolution* is how much of it
the probabilities tell apart. *Reliability* is what is lost because they do not mean what they say. All three are summed
over the classes, as the score itself is.

Reliability is measured in 15 equal-width bins of each class's probability. Resolution takes what probabilities tell
apart within a bin as well, so that the three add up exactly; where all probabilities of a bin are alike it is Murphy's.
As with the calibration error, bins that hold few rows make the reliability of an honest model larger than 0.

Reference: Murphy, Journal of Applied Meteorology 12:595 (1973); Stephenson, Coelho & Jolliffe, Weather and Forecasting
23:752 (2008) for what happens within bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from grandrounds.compiled import compiled
from grandrounds.evaluate.counting import N_BINS
from grandrounds.evaluate.metrics import Tally, Values, brier
from grandrounds.shapes import Probs


def reliability(rows: Tally) -> Values:
    """Return the squared distance between stated and seen frequency, mean over rows, summed over classes, (R,)."""
    return _lost(rows, np.zeros((rows.sheet.probs.shape[1], N_BINS)))


def reliability_by_chance(rows: Tally) -> Values:
    """Return the reliability that drawing alone makes, (R,): of the gaps by how far they are from the rows' own."""
    probs, label = rows.sheet.probs, rows.sheet.marks.places[:, 0]
    usual = np.zeros((probs.shape[1], N_BINS))
    for klass, stated in enumerate(probs.T):
        at = np.minimum((stated * N_BINS).astype(np.int64), N_BINS - 1)
        gap, n = (np.bincount(at, weights, N_BINS) for weights in (stated - (label == klass), None))
        usual[klass] = gap / np.maximum(n, 1)
    return _lost(rows, usual)


def _lost(rows: Tally, usual: NDArray[np.float64]) -> Values:
    total = rows.total
    lost = _off(
        rows.sheet.probs, rows.sheet.marks.places[:, 0], rows.sheet.marks.unit, usual,
        np.ascontiguousarray(rows.weights),
    )  # fmt: skip
    return np.asarray(np.divide(lost, total, out=np.full(total.shape, np.nan), where=total > 0))


def uncertainty(rows: Tally) -> Values:
    """Return the Brier score of always stating the classes' frequencies, (R,)."""
    share = np.divide(rows.truths, rows.total, out=np.full(rows.truths.shape, np.nan), where=rows.total > 0)
    return np.asarray((share * (1 - share)).sum(axis=0))


def resolution(rows: Tally) -> Values:
    """Return how much of the uncertainty the probabilities tell apart, (R,)."""
    return np.asarray(uncertainty(rows) + reliability(rows) - brier(rows))


@compiled
def _off(
    probs: Probs, label: NDArray[np.int64], unit: NDArray[np.int64], usual: NDArray[np.float64], weights: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the weighted sum over classes and bins of the squared gap between stated and seen frequency, (R,).

    Of each gap `usual` (K, bins) is taken off before.
    """
    n_bins, n_weightings = usual.shape[1], weights.shape[1]
    lost = np.zeros(n_weightings)
    for klass in range(probs.shape[1]):
        gap = np.zeros((n_bins, n_weightings))
        n = np.zeros((n_bins, n_weightings))
        for i in range(len(unit)):
            row = weights[unit[i]]
            at = min(int(probs[i, klass] * n_bins), n_bins - 1)
            excess = probs[i, klass] - (1.0 if label[i] == klass else 0.0) - usual[klass, at]
            for r in range(n_weightings):
                gap[at, r] += excess * row[r]
                n[at, r] += row[r]
        for at in range(n_bins):
            for r in range(n_weightings):
                if n[at, r] > 0:
                    lost[r] += gap[at, r] * gap[at, r] / n[at, r]
    return lost
