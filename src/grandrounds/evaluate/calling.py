"""Rules that call a class from a threshold on, and what they give: sensitivity, specificity, predictive values.

With two classes the positive one is called; with more, each class against the others. Each trial has a threshold of its
own, set on its setting rows. The rule "most probable class" stands beside them: it needs no setting, and with two
classes calls from one half on. Accuracy is that of all classes together; with more than two see `one_of_several`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate import elsewhere
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bounds import Bounds
from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.evaluate.cohort import Group
from grandrounds.evaluate.estimates import Estimate
from grandrounds.evaluate.one_of_several import MOST_PROBABLE
from grandrounds.evaluate.prevalence import npv_at, part, ppv_at
from grandrounds.evaluate.rules import Measure, Numbers, Reading, Rule, Values, by_patient
from grandrounds.evaluate.thresholds import (
    Operating,
    for_price,
    for_sensitivity,
    for_specificity,
    operating,
)

HALF = 0.5
_Setter = Callable[[Operating, float], float]  # from operating points and a number to a threshold
_AT_PREVALENCE = "_at_prevalence"


def calling(reading: Reading) -> Iterator[Rule]:
    """Yield the rules of one family."""
    positive = positive_of(reading.task)
    for klass, label in enumerate(reading.task.classes):
        if positive in (None, label):
            yield _as_stated(reading, klass, label)
            for words, promised, setter in _setters(reading.aims):
                yield _set(reading, klass, label, words, promised, setter)
            if positive is not None:
                yield _set(reading, klass, label, _accurate(reading.aims), {}, _most_accurate)


def _accurate(aims: Aims) -> str:
    """Return what is greatest in words: at another prevalence than that of the judged rows it is another accuracy."""
    return "greatest accuracy" + ("" if aims.prevalence is None else " at the declared prevalence")


def _setters(aims: Aims) -> Iterator[tuple[str, dict[str, float], _Setter]]:
    """Yield what is aimed for in words, what it promises, and how a threshold is set for it."""
    yield "Youden", {}, _youden
    for least in aims.sensitivity:
        yield f"sensitivity at least {least:g}", {"recall": least}, partial(_reaching, for_sensitivity, least)
    for least in aims.specificity:
        yield f"specificity at least {least:g}", {"specificity": least}, partial(_reaching, for_specificity, least)
    for cost in aims.miss_costs:
        yield f"a miss costs {cost:g} false alarms", {}, partial(_priced, cost)


def _youden(points: Operating, _share: float) -> float:
    return for_price(points, 1.0, 1.0)


def _reaching(setter: _Setter, least: float, points: Operating, _share: float) -> float:
    return setter(points, least)


def _most_accurate(points: Operating, share: float) -> float:
    return for_price(points, share, 1 - share)


def _priced(cost: float, points: Operating, share: float) -> float:
    return for_price(points, cost * share, 1 - share)


def _as_stated(reading: Reading, klass: int, label: str) -> Rule:
    measures = tuple(
        _rates(rows.judged, klass, rows.judged.probs.argmax(axis=1) == klass, reading) for rows in reading.trials
    )
    half = HALF if len(reading.task.classes) == 2 else None
    return Rule(
        MOST_PROBABLE, label, "none", measures, half, undefined=_reasons(label), follows=_following(reading.aims)
    )


def _set(reading: Reading, klass: int, label: str, words: str, promised: dict[str, float], setter: _Setter) -> Rule:
    measures, found = [], []
    for rows, probs in zip(reading.trials, reading.probs, strict=True):
        truth = rows.setting.label == klass
        points = operating(probs.setting[:, klass], truth)
        if points is None:
            continue
        share = float(truth.mean()) if reading.aims.prevalence is None else reading.aims.prevalence
        found.append(setter(points, share))
        measures.append(_rates(rows.judged, klass, probs.judged[:, klass] >= found[-1], reading))
    notes, n = [], len(reading.trials)
    if len(found) < n:
        notes.append(f"not set in {n - len(found)} of {n} trials: all or none of the setting rows are {label}")
    never = int(np.isinf(found).sum())
    if never:
        notes.append(f"in {never} of {n} trials nobody is called {label}")
    threshold = float(np.mean(found)) if found and not never else None
    return Rule(
        words, label, reading.calibration, tuple(measures) or (_undefined(reading),), threshold, promised,
        _reasons(label), tuple(notes), follows=_following(reading.aims),
    )  # fmt: skip


def _undefined(reading: Reading) -> Measure:
    """Return the rates of a rule that could be set in no trial."""
    judged = reading.trials[0].judged
    nothing = replace(judged, label=judged.label[:0], probs=judged.probs[:0], patient=judged.patient[:0], sample=())
    return _rates(nothing, 0, np.zeros(0, np.bool_), reading)


def _rates(group: Group, klass: int, called: NDArray[np.bool_], reading: Reading) -> Measure:
    """Return what is measured of a call: rates among the true and among the called, of one trial."""
    truth, prevalence = group.label == klass, reading.aims.prevalence
    cells = by_patient(
        np.stack([truth & called, truth & ~called, ~truth & called, ~truth & ~called]),
        group.patient,
        reading.n_patients,
    )  # (4, P)

    def rates(sums: NDArray[np.float64]) -> dict[str, Values]:
        hits, misses, alarms, rest = sums
        found = {"accuracy": part(hits + rest, misses + alarms)} if positive_of(reading.task) else {}
        found |= {
            "recall": part(hits, misses), "specificity": part(rest, alarms), "precision": part(hits, alarms),
            "npv": part(rest, misses),
        }  # fmt: skip
        if prevalence is not None:
            known = found["recall"], found["specificity"], prevalence
            found[f"accuracy{_AT_PREVALENCE}"] = prevalence * known[0] + (1 - prevalence) * known[1]
            found |= {f"precision{_AT_PREVALENCE}": ppv_at(*known), f"npv{_AT_PREVALENCE}": npv_at(*known)}
        return found

    return Measure(cells, rates)


def _following(aims: Aims) -> Mapping[str, Callable[[Numbers], Bounds]]:
    """Return how intervals at the declared prevalence follow from those of sensitivity and specificity."""
    prevalence = aims.prevalence
    if prevalence is None:
        return {}

    def of(bounds: Callable[[Estimate, Estimate, float], Bounds]) -> Callable[[Numbers], Bounds]:
        return lambda numbers: bounds(numbers["recall"], numbers["specificity"], prevalence)

    named = {"accuracy": elsewhere.of_accuracy, "precision": elsewhere.of_ppv, "npv": elsewhere.of_npv}
    return {f"{name}{_AT_PREVALENCE}": of(bounds) for name, bounds in named.items()}


def _reasons(label: str) -> dict[str, str]:
    names = ("recall", "specificity", "precision", "npv")
    reasons = {name: METRICS.get(name).undefined.format(label=label) for name in names}
    moved = {f"{name}{_AT_PREVALENCE}": f"{reasons[name]}, or one side is missing" for name in ("precision", "npv")}
    return reasons | moved | {f"accuracy{_AT_PREVALENCE}": "one side is missing"}
