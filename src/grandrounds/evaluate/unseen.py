"""How far misses that were not seen may take a value that follows from which class is called how often.

Where none of a class was missed, no resample misses one, whatever its other rows do. Of n patients without a miss the
class may still be missed in up to `1 - 0.025 ** (1 / n)` of its rows (Clopper and Pearson), and agreement beyond chance
falls the more by it, the rarer the class is. Which of several such classes is missed is not known either: the farthest
of each alone and of all together is taken, together with as many patients as they have.

Misses go where those go that were seen: on an ordered scale as far, elsewhere to the classes that are called.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grandrounds import registry
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.metrics import tally

LEFT_OUT = 0.025  # on either side of an interval of 95 %
_Counts = NDArray[np.float64]  # (K, K): true class, class called


def reach(entry: MetricEntry, carriers: Carriers) -> tuple[float, float]:
    """Return how far a value may be below, for misses that were not seen, and above, for hits that were not.

    Args:
        entry: A metric of counts, such as kappa.
        carriers: Of the family.
    """
    counts, n_patients = carriers.calls, carriers.by_side["class"]
    hits, of_class = np.diag(counts), counts.sum(axis=1)
    elsewhere = _elsewhere(counts, ordered=carriers.task.kind == "ordinal")
    missed = [_missed(counts, of, elsewhere, n) for of, n in _each_and_all((hits == of_class) & (hits > 0), n_patients)]
    hit = [_hit(counts, of, n) for of, n in _each_and_all((hits == 0) & (of_class > 0), n_patients)]
    own = _value(entry, counts)
    down, up = (sign * np.array([own - _value(entry, one) for one in some]) for sign, some in ((1, missed), (-1, hit)))
    return float(np.max(down, initial=0.0)), float(np.max(up, initial=0.0))


def _each_and_all(of: NDArray[np.bool_], n_patients: NDArray[np.int64]) -> Iterator[tuple[list[int], int]]:
    """Yield each of these classes, and all of them together, with the patients that they have."""
    places = np.flatnonzero(of).tolist()
    yield from (([at], int(n_patients[at])) for at in places)
    if len(places) > 1:
        yield places, int(n_patients[places].sum())


def _missed(counts: _Counts, classes: list[int], elsewhere: _Counts, n: int) -> _Counts:
    """Return the counts if these classes were missed as often as n patients without a miss allow."""
    moved, still_hit = counts.copy(), LEFT_OUT ** (1 / max(n, 1))
    for at in classes:
        moved[at] = counts[at].sum() * (1 - still_hit) * elsewhere[at]
        moved[at, at] = counts[at].sum() * still_hit
    return moved


def _hit(counts: _Counts, classes: list[int], n: int) -> _Counts:
    """Return the counts if these classes were hit as often as n patients without a hit allow."""
    moved, still_missed = counts.copy(), LEFT_OUT ** (1 / max(n, 1))
    for at in classes:
        moved[at] *= still_missed
        moved[at, at] = counts[at].sum() * (1 - still_missed)
    return moved


def _elsewhere(counts: _Counts, *, ordered: bool) -> _Counts:
    """Return which classes a miss of each class goes to, (K, K), by the first that says anything of it.

    That is how far misses of any class went, on an ordered scale; how often the others are called; all alike.
    """
    at = np.arange(len(counts))
    distance = np.abs(at[:, None] - at)
    others = distance > 0
    as_far = np.bincount(distance.ravel(), (counts * others).ravel())[distance] * ordered
    where: _Counts = np.zeros_like(counts)
    for weights in (as_far, counts.sum(axis=0), 1.0):
        where = np.where(where.any(axis=1, keepdims=True), where, weights * others)
    return np.asarray(where / where.sum(axis=1, keepdims=True))


def _value(entry: MetricEntry, counts: _Counts) -> float:
    """Return the metric of so many rows of each class that are called each class."""
    label, called = (one.ravel() for one in np.indices(counts.shape))
    rows = tally(label, np.eye(len(counts))[called], counts.ravel())
    return float(registry.load(entry.measure)(rows)[0])
