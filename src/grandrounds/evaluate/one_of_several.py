"""Rules that call one of more than two classes, and how often, or how nearly, that is right.

The most probable class is right most often. Where classes have an order, a miss by two is worse than a miss by one: if
its cost is the squared distance, the call that is expected to cost least is the grade nearest to the expected grade.
Neither rule needs a setting.

Reference: Berger, Statistical Decision Theory and Bayesian Analysis, 2nd ed., Springer 1985, § 4.4.2 (squared loss);
Cohen, Psychological Bulletin 70:213 (1968), the weighted kappa.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.bounds import Bounds, of_estimate
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.metrics import nearness
from grandrounds.evaluate.prevalence import part
from grandrounds.evaluate.rules import Measure, Numbers, Reading, Rule, Values, by_patient
from grandrounds.evaluate.unseen import reach
from grandrounds.shapes import ClassIndex, Probs

MOST_PROBABLE, NEAREST = "most probable class", "grade nearest to the expected one"
_KAPPA = METRICS.get("quadratic_kappa")


def one_of_several(reading: Reading) -> Iterator[Rule]:
    """Yield the rules of one family, each as stated and as recalibrated; none for two classes without an order."""
    if positive_of(reading.task) is not None:
        return
    callers = {MOST_PROBABLE: most_probable}
    if reading.task.kind == "ordinal":
        callers[NEAREST] = nearest_grade
    stated = [rows.judged.probs for rows in reading.trials]
    for words, caller in callers.items():
        yield _rule(words, caller, reading, stated, "none")
        if reading.calibration != "none":
            yield _rule(words, caller, reading, [one.judged for one in reading.probs], reading.calibration)


def most_probable(probs: Probs) -> ClassIndex:
    """Return the class called in each row, (N,); the first of several equally probable ones."""
    return np.asarray(probs.argmax(axis=1))


def nearest_grade(probs: Probs) -> ClassIndex:
    """Return the grade whose squared distance from the true one is expected to be least, (N,); the lower of two.

    >>> nearest_grade(np.array([[0.5, 0.0, 0.5], [0.7, 0.2, 0.1], [0.5, 0.5, 0.0]]))
    array([1, 0, 0])
    """
    return np.asarray((_squares(probs.shape[1]) @ probs.T).argmin(axis=0))


def _squares(n_classes: int) -> NDArray[np.int64]:
    """Return the squared distance between every two of K classes, (K, K)."""
    at = np.arange(n_classes)
    return (at[:, None] - at) ** 2


def _rule(
    words: str, caller: Callable[[Probs], ClassIndex], reading: Reading, probs: Sequence[Probs], calibration: str
) -> Rule:
    calls = [caller(one) for one in probs]
    judged = [rows.judged for rows in reading.trials]
    measures = tuple(_agreement(*one, reading) for one in zip(judged, calls, strict=True))

    def of_kappa(numbers: Numbers) -> Bounds:
        everyone, unseen = numbers["accuracy"].carried, _unseen(judged, calls, reading)
        return of_estimate(_KAPPA, replace(numbers[_KAPPA.name], carried=everyone, unseen=unseen))

    return Rule(
        words, None, calibration, measures, undefined={_KAPPA.name: _KAPPA.undefined}, follows={_KAPPA.name: of_kappa}
    )


def _unseen(judged: Sequence[Group], calls: Sequence[ClassIndex], reading: Reading) -> tuple[float, float]:
    """Return how far misses and hits that were not seen among these calls may take kappa down and up."""
    surely = np.eye(len(reading.task.classes))
    called = tuple(replace(group, probs=surely[one]) for group, one in zip(judged, calls, strict=True))
    carriers = Carriers.of(Cohort(reading.task, (), called), reading.family)
    return (0.0, 0.0) if carriers.calls_one else reach(_KAPPA, carriers)


def _agreement(group: Group, called: ClassIndex, reading: Reading) -> Measure:
    """Return how true and called class agree in one trial."""
    n_classes = len(reading.task.classes)
    cells = by_patient(
        np.eye(n_classes**2)[:, group.label * n_classes + called], group.patient, reading.n_patients
    )  # (K², P), a row for each pair of true and called class
    ordered = reading.task.kind == "ordinal"
    squares = _squares(n_classes).ravel()

    def agree(sums: NDArray[np.float64]) -> dict[str, Values]:
        table = sums.reshape(n_classes, n_classes, -1)  # true class, called class, R
        hits = table.trace()
        kappa = {_KAPPA.name: nearness(squares @ sums, table.sum(axis=1), table.sum(axis=0))} if ordered else {}
        return kappa | {"accuracy": part(hits, table.sum(axis=(0, 1)) - hits)}

    return Measure(cells, agree)
