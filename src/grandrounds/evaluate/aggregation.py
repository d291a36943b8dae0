"""From several images to one answer: rules that turn the probabilities of samples into those of a case or a patient.

- *mean*: the mean of the samples' probabilities.
- *noisy-or*: the probability that at least one sample shows the class, if samples were independent of one another. With
  dozens of samples it comes so close to 1 that cases can no longer be told apart.
- *max*: the most suspicious sample decides.
- *fraction*: which share of the samples is called the class. A binary case is called positive from a share on that is
  set on valid (25 % in COVID-ViT); the share is stretched so that this one becomes a probability of one half.

Of a binary task the positive class is combined and the other gets the rest; of several classes each is combined and the
sums are made 1 again.

Reference: Dietterich, Lathrop & Lozano-Pérez, Artificial Intelligence 89:31 (1997) for what many instances say of one;
Pearl, Probabilistic Reasoning in Intelligent Systems (1988), §4.3.2, for noisy-or; Gao et al., arXiv:2107.01682 (2021)
for the fraction.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.answer import RuleName
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.metrics import sheet
from grandrounds.evaluate.overall import overall
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.specs import Spec
from grandrounds.tables import Task
from grandrounds.wording import percent

RULES: tuple[RuleName, ...] = ("mean", "noisy-or", "max", "fraction")  # of equally good ones the first is taken
HALF = 0.5
_JUST_POSITIVE = float(np.nextafter(HALF, 1))


class Rule(Spec):
    """How the samples of one case, or patient, become one answer.

    Args:
        name: Which rule.
        share: Of a binary *fraction* only: the share of positive samples from which on the case is called positive.
    """

    name: RuleName = "mean"
    share: float | None = None

    def __str__(self) -> str:
        """Return the rule in words."""
        return self.name if self.share is None else f"{self.name} from {percent(self.share)}"


def combined(probs: Probs, unit: NDArray[np.int64], rule: Rule, task: Task) -> Probs:
    """Return one row of probabilities for each unit, (U, K).

    Args:
        probs: (N, K) of the samples.
        unit: (N,) which unit each is of, from 0 on without gaps and in order.
        rule: How.
        task: What was to be told.

    >>> three_slices = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> task = Task(kind="binary", classes=("normal", "covid"))
    >>> combined(three_slices, np.zeros(3, dtype=np.int64), Rule(name="noisy-or"), task)[0, 1].round(3)
    np.float64(0.892)
    """
    found = _evidence(probs, unit, rule.name)  # (U, K)
    positive = positive_of(task)
    if positive is None:
        return np.asarray(found / found.sum(axis=1, keepdims=True))
    at = task.classes.index(positive)
    one = _stretched(found[:, at], rule.share) if rule.name == "fraction" and rule.share is not None else found[:, at]
    return np.stack([one, 1 - one] if at == 0 else [1 - one, one], axis=1)


def chosen(label: ClassIndex, probs: Probs, unit: NDArray[np.int64], task: Task, entry: MetricEntry) -> Rule:
    """Return the rule with the best value of a metric; the mean where it is undefined for all.

    Args:
        label: (U,) true class of each unit.
        probs: (N, K) of the samples.
        unit: (N,) which unit each is of, as for `combined`.
        task: What was to be told.
        entry: The metric, with an overall value.
    """
    sign, ones = 1 if entry.better == "higher" else -1, np.ones((len(label), 1), np.uint8)

    def worth(rule: Rule) -> float:
        value = sign * overall([sheet(label, combined(probs, unit, rule, task))], entry, task, ones)[0]
        return -math.inf if np.isnan(value) else round(float(value), 12)  # the order of a sum must not choose

    return max((declared(name, label, probs, unit, task) for name in RULES), key=worth)


def declared(name: RuleName, label: ClassIndex, probs: Probs, unit: NDArray[np.int64], task: Task) -> Rule:
    """Return the rule of that name, with the share that it needs set on these units; arguments as for `chosen`."""
    positive = positive_of(task)
    if name != "fraction" or positive is None:
        return Rule(name=name)
    at = task.classes.index(positive)
    return Rule(name=name, share=_best_share(label == at, _evidence(probs, unit, name)[:, at]))


def _best_share(truth: NDArray[np.bool_], share: NDArray[np.float64]) -> float:
    """Return the share with the best balanced accuracy when it and more are called positive; of equals the middlemost.

    One half where there is nothing to choose from.
    """
    places = np.unique(share[share > 0])
    if not len(places) or truth.all() or not truth.any():
        return HALF
    yes, no = np.sort(share[truth]), np.sort(share[~truth])
    missed, spared = np.searchsorted(yes, places) / len(yes), np.searchsorted(no, places) / len(no)
    best = places[np.isclose(spared - missed, (spared - missed).max())]
    return float(best[np.abs(best - HALF).argmin()])


def _stretched(share: NDArray[np.float64], at: float) -> NDArray[np.float64]:
    """Return the shares moved, in order, so that from `at` on they lie above one half and below it under it."""
    over = HALF + HALF * (share - at) / max(1 - at, np.finfo(np.float64).tiny)
    return np.where(share >= at, np.maximum(over, _JUST_POSITIVE), HALF * share / at)


def _evidence(probs: Probs, unit: NDArray[np.int64], name: RuleName) -> NDArray[np.float64]:
    """Return what the samples of each unit say of each class, (U, K)."""
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    n = np.diff(np.r_[starts, len(unit)])[:, None]
    if name == "max":
        return np.asarray(np.maximum.reduceat(probs, starts))
    if name == "noisy-or":
        with np.errstate(divide="ignore"):  # a sample that is sure has a logarithm of -inf, and decides
            return np.asarray(-np.expm1(np.add.reduceat(np.log1p(-np.minimum(probs, 1.0)), starts)))
    parts = probs if name == "mean" else np.eye(probs.shape[1])[probs.argmax(axis=1)]
    return np.asarray(np.add.reduceat(parts, starts) / n)
