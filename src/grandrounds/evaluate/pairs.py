"""Two families side by side: their overall values on the folds and seeds that both finished, from the same draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate import too_few
from grandrounds.evaluate.bootstrap import Replicates, resample
from grandrounds.evaluate.bounds import NOTHING, Bounds, no_shorter
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.estimates import Estimate


@dataclass(frozen=True, slots=True)
class Pair:
    """Two families with what is known of either.

    Args:
        a: The one.
        b: The other.
        one: Value of a, with its resamples.
        other: Value of b, under the same draws; unknown as that of a where they share no fold and seed.
    """

    a: str
    b: str
    one: Estimate
    other: Estimate

    @property
    def differences(self) -> NDArray[np.float64]:
        """One minus the other, (R,)."""
        return self.one.resamples - self.other.resamples

    @property
    def estimate(self) -> float:
        """One minus the other."""
        return self.one.value - self.other.value

    @property
    def n(self) -> int:
        """Patients on whom the difference rests."""
        return min(self.one.carried.difference, self.other.carried.difference)

    def no_shorter(self, found: Bounds, entry: MetricEntry, level: float) -> Bounds:
        """Return an interval of the difference by any method, no shorter than what draws leave open, see `bounds`."""
        return no_shorter(found, entry, self.one, self.other, self.n, level)

    @property
    def has_error(self) -> bool:
        """Whether the resamples say how far off the difference may be: a handful of patients on one side do not."""
        fewest = min(self.one.carried.value, self.other.carried.value)
        return fewest >= too_few.FEWEST and self.varies

    @property
    def varies(self) -> bool:
        """Whether any resample differs from another by more than rounding."""
        return self.known and bool(np.nanstd(self.differences) > NOTHING)

    @property
    def known(self) -> bool:
        """Whether any resample is defined."""
        return bool(~np.isnan(self.differences).all())


def paired(
    cohort: Cohort,
    replicates: Replicates,
    primary: MetricEntry,
    seed: int,
    *,
    against: str | None = None,
    estimates: Mapping[str, Estimate] | None = None,
) -> list[Pair]:
    """Return the pairs of families.

    Args:
        cohort: What was judged.
        replicates: Its resamples; reused, not drawn again.
        primary: The metric.
        seed: Of the draws that made `replicates`; needed where two families did not finish the same folds.
        against: The family that every other one is paired with; None for every pair.
        estimates: Each family's value, where it is none of the replicates', as a mean over tasks is.
    """
    estimates = estimates or _estimates(cohort, replicates, primary)
    return [_pair(cohort, replicates, estimates, primary, a, b, seed) for a, b in _named(replicates.families, against)]


def _named(families: Sequence[str], against: str | None) -> Iterable[tuple[str, str]]:
    if against is None:
        return itertools.combinations(families, 2)
    return ((one, against) for one in families if one != against)


def _estimates(cohort: Cohort, replicates: Replicates, primary: MetricEntry) -> dict[str, Estimate]:
    at = replicates.at(primary.name)
    return {
        family: Estimate.of(replicates, place, at, Carriers.of(cohort, family))
        for place, family in enumerate(replicates.families)
    }


def _pair(
    cohort: Cohort,
    replicates: Replicates,
    estimates: Mapping[str, Estimate],
    primary: MetricEntry,
    a: str,
    b: str,
    seed: int,
) -> Pair:
    shared, n_resamples = cohort.runs(a) & cohort.runs(b), replicates.values.shape[2]
    if not shared:
        return Pair(a, b, Estimate.unknown(n_resamples), Estimate.unknown(n_resamples))
    if cohort.runs(a) != cohort.runs(b):
        cohort = cohort.restricted((a, b), shared)
        estimates = _estimates(cohort, resample(cohort, n_resamples, seed, metrics=(primary,)), primary)
    return Pair(a, b, estimates[a], estimates[b])
