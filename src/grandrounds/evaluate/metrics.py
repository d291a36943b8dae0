"""The metrics, for many weightings of the same rows at once.

Rows become a `Sheet` once: what each unit (a patient, or a row) adds to the counts, and the rows' rankings. A sheet and
weights (units, R) give a `Tally`; every metric is a small function of a tally, (R,) or by class (K, R). Undefined is
NaN, never 0. Accuracy, a bootstrap over patients and a point estimate are thus one piece of code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.counting import Counts, Marks, count, mark
from grandrounds.evaluate.ranking import Ranking, rank, sweep
from grandrounds.shapes import ClassIndex, Probs

Values: TypeAlias = NDArray[np.float64]  # (R,) or (K, R)


@dataclass(frozen=True)
class Tally:
    """What a set of rows amounts to under R weightings; counts and rankings are made when first asked for.

    Args:
        sheet: The rows themselves.
        weights: (units, R).
    """

    sheet: Sheet
    weights: NDArray[Any]

    @cached_property
    def counts(self) -> Counts:
        """What the rows add up to."""
        return count(self.sheet.marks, self.weights)

    @cached_property
    def _ranked(self) -> tuple[Values, Values]:
        return sweep(self.sheet.ranking, self.weights)

    @property
    def hits(self) -> Values:
        """Weight of the rows of each class that are called so, (K, R)."""
        return self.counts.hits

    @property
    def truths(self) -> Values:
        """Weight of the rows of each class, (K, R)."""
        return self.counts.truths

    @property
    def calls(self) -> Values:
        """Weight of the rows called each class, (K, R)."""
        return self.counts.calls

    @property
    def auc(self) -> Values:
        """Area under each class's one-vs-rest ROC curve, (K, R)."""
        return self._ranked[0]

    @property
    def average_precision(self) -> Values:
        """Average precision of each class, (K, R)."""
        return self._ranked[1]

    @cached_property
    def once(self) -> Tally:
        """The same rows, each weighed once."""
        return self.sheet.tally(np.ones((len(self.weights), 1), self.weights.dtype))

    @property
    def total(self) -> Values:
        """Weight of all rows, (R,)."""
        return np.asarray(self.truths.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows made ready to be weighted by unit.

    Args:
        marks: What each row adds to the counts.
        ranking: The rows sorted for each class.
        probs: (N, K).
    """

    marks: Marks
    ranking: Ranking
    probs: Probs

    def tally(self, weights: NDArray[Any]) -> Tally:
        """Return the tally under weights (units, R)."""
        return Tally(self, weights)


def sheet(label: ClassIndex, probs: Probs, unit: NDArray[np.int64] | None = None) -> Sheet:
    """Return the rows made ready.

    Args:
        label: (N,) true class.
        probs: (N, K).
        unit: (N,) which weight counts for the row; None for one of its own.
    """
    unit = np.arange(len(label)) if unit is None else unit
    return Sheet(mark(label, probs, unit), rank(label, probs, unit), probs)


def tally(label: ClassIndex, probs: Probs, weights: NDArray[Any] | None = None) -> Tally:
    """Return the tally of rows under sample weights (R, N); None weighs every row once (R = 1).

    >>> rows = tally(np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]))
    >>> recall(rows)[:, 0].tolist()
    [1.0, 0.5]
    """
    weights = np.ones((1, len(label))) if weights is None else np.atleast_2d(weights)
    return sheet(label, probs).tally(weights.T)


def _ratio(above: Values, below: Values) -> Values:
    """Return the quotient, NaN where the divisor is 0."""
    quotient: Values = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return quotient


def ratio(above: Values, below: Values) -> Values:
    """Return the quotient; a positive number by 0 is infinite, and 0 by 0 is NaN."""
    return np.where((below == 0) & (above > 0), np.inf, _ratio(above, below))


def _others(by_class: Values) -> Values:
    """Return the sum over the other classes, (K, R)."""
    # Summed, not subtracted from the total: with no other class the sum is exactly 0.
    return np.asarray((1.0 - np.eye(len(by_class))) @ by_class)


def accuracy(rows: Tally) -> Values:
    """Return the share of rows called right, (R,)."""
    return _ratio(rows.hits.sum(axis=0), rows.total)


def recall(rows: Tally) -> Values:
    """Return the share of each class that is called so, (K, R)."""
    return _ratio(rows.hits, rows.truths)


def precision(rows: Tally) -> Values:
    """Return the share right among the rows called each class, (K, R)."""
    return _ratio(rows.hits, rows.calls)


def specificity(rows: Tally) -> Values:
    """Return the share of the other classes' rows that are not called this class, (K, R)."""
    others = _others(rows.truths)
    return _ratio(others - (rows.calls - rows.hits), others)


def npv(rows: Tally) -> Values:
    """Return the share of other classes among the rows not called each class, (K, R)."""
    others = _others(rows.calls)
    return _ratio(others - (rows.truths - rows.hits), others)


def lr_positive(rows: Tally) -> Values:
    """Return sensitivity / (1 - specificity) of each class, (K, R); infinite without a false call."""
    false_alarms = _ratio(rows.calls - rows.hits, _others(rows.truths))
    return ratio(recall(rows), false_alarms)


def lr_negative(rows: Tally) -> Values:
    """Return (1 - sensitivity) / specificity of each class, (K, R); infinite if all others are called it."""
    missed = _ratio(rows.truths - rows.hits, rows.truths)
    return ratio(missed, specificity(rows))


def f1(rows: Tally) -> Values:
    """Return the harmonic mean of precision and recall, (K, R)."""
    return _ratio(2 * rows.hits, rows.truths + rows.calls)


def auc(rows: Tally) -> Values:
    """Return the area under each class's one-vs-rest ROC curve, ties counted half, (K, R)."""
    return rows.auc


def average_precision(rows: Tally) -> Values:
    """Return each class's average precision, not interpolated, (K, R)."""
    return rows.average_precision


def brier(rows: Tally) -> Values:
    """Return the mean squared error summed over the classes, from 0 to 2, (R,)."""
    return _ratio(rows.counts.squares, rows.total)


def log_loss(rows: Tally) -> Values:
    """Return the mean -log probability of the true class, in nats, (R,)."""
    return _ratio(rows.counts.surprise, rows.total)


def ece(rows: Tally) -> Values:
    """Return the expected calibration error of the highest probability in 15 equal-width bins, (R,)."""
    return _ratio(np.abs(rows.counts.gaps).sum(axis=0), rows.total)


def ece_by_chance(rows: Tally) -> Values:
    """Return the calibration error that drawing alone makes, (R,): of the gaps by how far they are from the rows' own.

    That is how the error of a calibrated family would vary over other units.

    Reference: Bröcker & Smith, Weather and Forecasting 22:651 (2007), who draw outcomes anew for the same end.
    """
    drawn, own = (
        _ratio(one.counts.gaps, np.broadcast_to(one.total, one.counts.gaps.shape)) for one in (rows, rows.once)
    )
    return np.asarray(np.abs(drawn - own).sum(axis=0))


def net_benefit(rows: Tally) -> Values:
    """Return hits less false calls of each class by the number of all rows, (K, R)."""
    return hits_of_all(rows) - false_calls_of_all(rows)


def hits_of_all(rows: Tally) -> Values:
    """Return the share of all rows that are called each class and are of it, (K, R)."""
    return _ratio(rows.hits, np.broadcast_to(rows.total, rows.hits.shape))


def false_calls_of_all(rows: Tally) -> Values:
    """Return the share of all rows that are called each class and are of another, (K, R)."""
    return _ratio(rows.calls - rows.hits, np.broadcast_to(rows.total, rows.hits.shape))


def mcc(rows: Tally) -> Values:
    """Return the Matthews correlation of called and true class, (R,); for several classes Gorodkin's."""
    total = rows.total
    together = rows.hits.sum(axis=0) * total - (rows.truths * rows.calls).sum(axis=0)
    spreads = (total**2 - (rows.truths**2).sum(axis=0)) * (total**2 - (rows.calls**2).sum(axis=0))
    return _ratio(together, np.sqrt(spreads))


def kappa(rows: Tally) -> Values:
    """Return Cohen's kappa: agreement beyond what the class frequencies alone would give, (R,)."""
    total = rows.total
    chance = (rows.truths * rows.calls).sum(axis=0)
    return _ratio(rows.hits.sum(axis=0) * total - chance, total**2 - chance)


def quadratic_kappa(rows: Tally) -> Values:
    """Return Cohen's kappa with squared distances as weights, (R,); the classes are taken as equally spaced."""
    return nearness(rows.counts.distance, rows.truths, rows.calls)


def nearness(distance: Values, truths: Values, calls: Values) -> Values:
    """Return the quadratic weighted kappa, (R,).

    Args:
        distance: (R,) squared distance between true and called class, summed.
        truths: (K, R) rows of each class.
        calls: (K, R) rows called each class.
    """
    at = np.arange(len(truths), dtype=np.float64)
    apart = (at[:, None] - at) ** 2  # (K, K)
    chance = np.einsum("jr,jk,kr->r", truths, apart, calls)
    return np.asarray(1.0 - _ratio(distance * truths.sum(axis=0), chance))
