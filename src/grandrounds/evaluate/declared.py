"""How good probabilities are at the declared prevalence, as they stand and moved to it.

Every judged row of a class weighs so much that the classes have the declared shares. The probabilities are moved from
the share of the setting rows to the declared one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.prevalence import moved
from grandrounds.evaluate.rules import Measure, Reading, Rule, Values, by_patient

_LOSSES = ("brier", "log_loss")  # as in the catalogue of metrics
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
    for rule, measures in ((f"probabilities {words}", kept), (f"probabilities moved to it, {words}", shifted)):
        yield Rule(rule, positive, reading.calibration, tuple(measures), undefined=reasons)


def _losses(reading: Reading, at: int, klass: int, stated: NDArray[np.float64], prevalence: float) -> Measure:
    """Return Brier score and log loss of one trial, each class at its declared share."""
    judged = reading.trials[at].judged
    truth = judged.label == klass
    missed = np.where(truth, 1 - stated, stated)
    losses = np.stack([np.ones_like(missed), 2 * missed**2, -np.log(np.clip(1 - missed, _LEAST, None))])  # (3, N)
    cells = by_patient(np.concatenate([losses * truth, losses * ~truth]), judged.patient, reading.n_patients)  # (6, P)

    def weighed(sums: NDArray[np.float64]) -> dict[str, Values]:
        means = []
        for n, *amounts in (sums[:3], sums[3:]):
            means.append([np.divide(one, n, out=np.full(n.shape, np.nan), where=n > 0) for one in amounts])
        return {
            name: prevalence * one + (1 - prevalence) * other for name, one, other in zip(_LOSSES, *means, strict=True)
        }

    return Measure(cells, weighed)
