"""How good probabilities are at the declared prevalence, as they stand and moved to it.

Every judged row of a class weighs so much that the classes have the declared shares: a loss there is a weighted mean of
what it is in either class, and has the interval that follows from theirs. The probabilities are moved from the share of
the setting rows to the declared one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.bounds import Bounds, of_estimate, of_mean
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.prevalence import moved
from grandrounds.evaluate.rules import Measure, Numbers, Reading, Rule, Values, by_patient

_LOSSES = ("brier", "log_loss")  # as in the catalogue of metrics
_SIDES = ("class", "others")
_LEAST = np.finfo(np.float64).eps


def declared(reading: Reading) -> Iterator[Rule]:
    """Yield the probabilities at the declared prevalence; nothing where none is declared or there are more classes."""
    prevalence, positive = reading.aims.prevalence, positive_of(reading.task)
    if prevalence is None or positive is None:
        return
    klass = reading.task.classes.index(positive)
    words = f"at a prevalence of {prevalence:g}"
    kept, shifted = [], []
    for at, (rows, probs) in enumerate(zip(reading.trials, reading.probs, strict=True)):
        there = float((rows.setting.label == klass).mean())
        stated = probs.judged[:, klass]
        kept.append(_losses(reading, at, klass, stated, prevalence))
        shifted.append(_losses(reading, at, klass, moved(stated, there, prevalence), prevalence))
    reasons = dict.fromkeys(_LOSSES, f"no sample, or every sample, is {positive}")
    follows = {loss: _following(loss, prevalence) for loss in _LOSSES}
    behind = frozenset(_within(loss, side) for loss in _LOSSES for side in _SIDES)
    for rule, measures in ((f"probabilities {words}", kept), (f"probabilities moved to it, {words}", shifted)):
        yield Rule(
            rule, positive, reading.calibration, tuple(measures), undefined=reasons, follows=follows, behind=behind
        )


def _within(loss: str, side: str) -> str:
    return f"{loss} within the {side}"


def _following(loss: str, prevalence: float) -> Callable[[Numbers], Bounds]:
    """Return how the interval of a loss follows from those within the class and within the others."""

    def bounds(numbers: Numbers) -> Bounds:
        within = [numbers[_within(loss, side)] for side in _SIDES]
        ends = [of_estimate(METRICS.get(loss), one) for one in within]
        resamples = np.stack([one.resamples for one in within])
        return of_mean([one.value for one in within], ends, resamples, weights=(prevalence, 1 - prevalence))

    return bounds


def _losses(reading: Reading, at: int, klass: int, stated: NDArray[np.float64], prevalence: float) -> Measure:
    """Return Brier score and log loss of one trial, each class at its declared share."""
    judged = reading.trials[at].judged
    truth = judged.label == klass
    missed = np.where(truth, 1 - stated, stated)
    losses = np.stack([np.ones_like(missed), 2 * missed**2, -np.log(np.clip(1 - missed, _LEAST, None))])  # (3, N)
    cells = by_patient(np.concatenate([losses * truth, losses * ~truth]), judged.patient, reading.n_patients)  # (6, P)

    def weighed(sums: NDArray[np.float64]) -> dict[str, Values]:
        found = {}
        for side, (n, *amounts) in zip(_SIDES, (sums[:3], sums[3:]), strict=True):
            for loss, one in zip(_LOSSES, amounts, strict=True):
                found[_within(loss, side)] = np.divide(one, n, out=np.full(n.shape, np.nan), where=n > 0)
        for loss in _LOSSES:
            own, other = (found[_within(loss, side)] for side in _SIDES)
            found[loss] = prevalence * own + (1 - prevalence) * other
        return found

    return Measure(cells, weighed)
