"""What thresholds that were set at home call on data from elsewhere: sensitivity and specificity of each.

Assumes: as for any other share, that patients are independent and the thresholds are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.specs import Spec
from grandrounds.tables import Task

METRICS_OF_CALLS = ("recall", "specificity")


class Threshold(Spec):
    """From which probability on a class is called.

    Args:
        rule: What it was set for, such as `"Youden"`.
        label: The class.
        at: The least probability that is called.
    """

    rule: str
    label: str
    at: float

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.rule}, {self.label} from {self.at:.3f}"


def called(
    cohort: Cohort, family: str, thresholds: Sequence[Threshold], seed: int, resamples: int
) -> Iterator[dict[str, Any]]:
    """Yield what each threshold gives: its words as `label`, the metric as `what`, `external` with its bounds.

    Args:
        cohort: What was predicted elsewhere.
        family: Whose probabilities the thresholds are for.
        thresholds: As they were set at home.
        seed: Of the draws.
        resamples: How many.
    """
    entries = tuple(METRICS.get(name) for name in METRICS_OF_CALLS)
    for one in thresholds:
        side = _as_called(cohort, family, one)
        drawn = resample(side, resamples, seed, metrics=entries)
        carriers = Carriers.of(side, family)
        for at, column in enumerate(drawn.columns):
            if column.label == one.label:
                low, high = bounds(drawn, 0, at, carriers)
                yield {
                    "family": family, "what": column.entry.name, "label": str(one),
                    "external": float(drawn.estimate[0, at]), "external_low": low, "external_high": high,
                }  # fmt: skip


def _as_called(cohort: Cohort, family: str, threshold: Threshold) -> Cohort:
    """Return the rows of a family as two classes, of which the likelier one is what the threshold calls."""
    klass = cohort.task.classes.index(threshold.label)
    task = Task(
        name=cohort.task.name, kind="binary", classes=(f"not {threshold.label}", threshold.label),
        positive=threshold.label,
    )  # fmt: skip
    return replace(cohort, task=task, groups=tuple(_two(group, klass, threshold.at) for group in cohort.of(family)))


def _two(group: Group, klass: int, at: float) -> Group:
    is_called = (group.probs[:, klass] >= at).astype(np.float64)
    stated = 0.25 + 0.5 * is_called  # far from one half, on whose side there would be nobody to say
    label = (group.label == klass).astype(group.label.dtype)
    return replace(group, label=label, probs=np.stack([1 - stated, stated], axis=1))
