"""How many patients are behind a number: who carry it, and on whom a difference from it rests.

Of a share of a class they are the patients of that class, however many others there are; of an AUC those of the rarer
side, since of the pairs of one of either side no more are independent (Obuchowski & Lieber, Academic Radiology 9:526,
2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.bootstrap import Column
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.tables import Task


class Carried(NamedTuple):
    """How many patients carry the value of a family, and on how many a difference from it rests."""

    value: int
    difference: int


@dataclass(frozen=True, slots=True)
class Carriers:
    """How many patients carry each number of one family.

    Args:
        task: What was to be told.
        everyone: All of its patients.
        by_side: Each way in which a class has patients to the numbers of them, (K,).
        calls: (K, K) rows by true class and class called.
    """

    task: Task
    everyone: int
    by_side: Mapping[str, NDArray[np.int64]]
    calls: NDArray[np.float64]

    @classmethod
    def of(cls, cohort: Cohort, family: str) -> Self:
        """Count the patients of a family, over all of its folds and seeds."""
        groups, n_classes = cohort.of(family), len(cohort.task.classes)
        patient = np.concatenate([group.patient for group in groups])
        label = np.concatenate([group.label for group in groups])
        called = np.concatenate([group.probs.argmax(axis=1) for group in groups])
        inside, outside = _sides(patient, label, n_classes)
        yes, no = _sides(patient, called, n_classes)
        sides = {
            "class": inside, "others": outside, "both": np.minimum(inside, outside), "called": yes, "uncalled": no,
        }  # fmt: skip
        calls = np.zeros((n_classes, n_classes))
        np.add.at(calls, (label, called), 1.0)
        return cls(cohort.task, len(np.unique(patient)), MappingProxyType(sides), calls)

    @property
    def calls_one(self) -> bool:
        """Whether one class is called whatever is shown, so that what rests on calls is at chance for certain."""
        return int((self.calls.sum(axis=0) > 0).sum()) < 2

    def number(self, column: Column) -> int:
        """Return how many patients carry a number: of several classes, the fewest.

        >>> from grandrounds.evaluate.catalogue import METRICS
        >>> from grandrounds.evaluate.cohort import Group
        >>> task = Task(kind="binary", classes=("well", "ill"), positive="ill")
        >>> group = Group("f", 0, 0, 0, np.array([0, 0, 1]), np.eye(2)[[0, 0, 1]], np.arange(3), ("x", "y", "z"))
        >>> found = Carriers.of(Cohort(task, ("p", "q", "r"), (group,)), "f")
        >>> [found.number(Column(METRICS.get(name), None, (1,))) for name in ("accuracy", "auc")]
        [3, 1]
        """
        if column.entry.carried_by in (None, "everyone"):
            return self.everyone
        return int(self.by_side[str(column.entry.carried_by)][self._classes(column)].min())

    def carried(self, column: Column) -> Carried:
        """Return how many carry a number, and a difference: the other side has as many as the rarer one, or more."""
        number = self.number(column)
        return Carried(number, min(2 * number, self.everyone))

    def _classes(self, column: Column) -> list[int]:
        positive = positive_of(self.task)
        label = column.label or (positive if column.entry.overall == "positive" else None)
        return [self.task.classes.index(label)] if label is not None else list(range(len(self.task.classes)))


def _sides(patient: NDArray[np.int64], of_row: NDArray[np.int64], n_classes: int) -> tuple[NDArray[np.int64], ...]:
    """Return for each class how many patients have a row in it, and how many a row outside of it, (K,) each."""
    has = np.zeros((int(patient.max()) + 1, n_classes), dtype=bool)  # (P, K)
    has[patient, of_row] = True
    return has.sum(axis=0), (has.sum(axis=1, keepdims=True) > has).sum(axis=0)
