"""An overall value with what its interval rests on: its resamples, who carries it, and what it is the mean of.

A macro value is the mean over classes, and one over several tasks the mean over them. A class in which nothing was
missed lets the mean vary less than it might, so that the interval of a mean follows from those of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.bootstrap import Replicates
from grandrounds.evaluate.carriers import Carried, Carriers
from grandrounds.evaluate.unseen import reach


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its resamples.

    Args:
        value: NaN where undefined.
        resamples: (R,) under the draws.
        carried: How many patients carry it, and a difference from it.
        parts: What it is the mean of; none for a value that is no mean of others.
        unseen: How far misses and hits that were not seen may take it down and up, at 95 % whatever is asked of the
            rest, see `unseen`.
    """

    value: float
    resamples: NDArray[np.float64]
    carried: Carried
    parts: tuple[Self, ...] = ()
    unseen: tuple[float, float] = (0.0, 0.0)

    @property
    def stacked(self) -> NDArray[np.float64]:
        """The resamples of the parts, (K, R)."""
        return np.stack([one.resamples for one in self.parts])

    @classmethod
    def of(cls, drawn: Replicates, place: int, at: int, carriers: Carriers) -> Self:
        """Return one number of one family.

        Args:
            drawn: The number among others, with its resamples.
            place: Of the family.
            at: Of the column.
            carriers: Of the family.
        """
        column = drawn.columns[at]
        by_chance = column.entry.needs == "labels" and carriers.calls_one
        parts, unseen = tuple[Self, ...](), (0.0, 0.0)
        if column.mean_of and not by_chance:
            of_classes = [drawn.at(column.mean_of, label) for label in carriers.task.classes]
            parts = tuple(cls.of(drawn, place, one, carriers) for one in of_classes)
        if column.entry.of_counts and not by_chance:
            unseen = reach(column.entry, carriers)
        value, resamples = float(drawn.estimate[place, at]), drawn.values[place, at]
        return cls(value, resamples, carriers.carried(column), parts, unseen)

    @classmethod
    def mean(cls, parts: Sequence[Self]) -> Self:
        """Return the mean of several, which the fewest patients carry."""
        return cls(
            float(np.mean([one.value for one in parts])), np.mean([one.resamples for one in parts], axis=0),
            Carried(*(min(numbers) for numbers in zip(*(one.carried for one in parts), strict=True))), tuple(parts),
        )  # fmt: skip

    @classmethod
    def unknown(cls, n_resamples: int) -> Self:
        """Return what stands where there is no value."""
        return cls(float("nan"), np.full(n_resamples, np.nan), Carried(0, 0))
