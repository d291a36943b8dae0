"""What a rule of decision is, and what it gives: one number a metric, with its interval by patient.

A rule is set trial by trial on rows of one role and applied to the trial's judged rows. What it gives is measured in
each trial and averaged over the trials where it is defined, under the same draws of patients as every score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bootstrap import BLOCK, draw, interval, mean_where_defined
from grandrounds.evaluate.bounds import Bounds, of_share
from grandrounds.evaluate.carriers import Carried
from grandrounds.evaluate.crossfit import Recalibrated, Rows
from grandrounds.evaluate.estimates import Estimate
from grandrounds.tables import Task

Values: TypeAlias = NDArray[np.float64]  # (R,)
Numbers: TypeAlias = Mapping[str, Estimate]  # what one rule gives, by metric
_SHARES = frozenset(
    {"accuracy", "recall", "specificity", "precision", "npv", "coverage", "decided", "right_if_decided"}
)


class Measure(NamedTuple):
    """What is measured in one trial.

    Args:
        cells: (F, P) what each patient adds to each of the sums.
        read: From the sums (F, R) to metrics.
    """

    cells: NDArray[np.float64]
    read: Callable[[NDArray[np.float64]], dict[str, Values]]


@dataclass(frozen=True, slots=True)
class Reading:
    """One family with the rows on which its rules are set and judged.

    Args:
        family: Its name.
        task: What was to be told.
        aims: What is to be decided.
        trials: Their rows.
        calibration: The recalibration that reads the setting rows best.
        probs: The trials' probabilities after it.
        n_patients: P, of the judged role.
        apart: The role that calibrators were fitted on, where it is not that of the thresholds.
    """

    family: str
    task: Task
    aims: Aims
    trials: tuple[Rows, ...]
    calibration: str
    probs: tuple[Recalibrated, ...]
    n_patients: int
    apart: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, set and ready to be measured.

    Args:
        rule: In words.
        label: The class that it speaks of; None for all.
        calibration: How probabilities were recalibrated before.
        measures: What it gives in each trial.
        threshold: Mean over the trials; None where it has none.
        promised: Metric to the least that was asked for.
        undefined: Metric to the reason why it may be undefined.
        notes: What a reader must know.
        chosen_on: The role that it was set on; None for that of thresholds.
        follows: Metric to how its interval follows from what else the rule gives; others are shares, or percentiles.
        behind: Metrics that no table shows and others follow from.
    """

    rule: str
    label: str | None
    calibration: str
    measures: tuple[Measure, ...]
    threshold: float | None = None
    promised: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    undefined: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    chosen_on: str | None = None
    follows: Mapping[str, Callable[[Numbers], Bounds]] = field(default_factory=lambda: MappingProxyType({}))
    behind: frozenset[str] = frozenset()


def by_patient(amounts: NDArray[Any], patient: NDArray[np.int64], n_patients: int) -> NDArray[np.float64]:
    """Return what the rows of each patient add up to, (F, P), from amounts (F, N)."""
    return np.stack([np.bincount(patient, weights=one, minlength=n_patients) for one in amounts])


def measured(rules: Sequence[Rule], n_patients: int, resamples: int, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Yield for each rule its rows: metric, estimate, low, high, note.

    Args:
        rules: All of one family or of several; the draws are theirs together.
        n_patients: P.
        resamples: R.
        seed: Of the draws.
    """
    estimates = [
        [measure.read(measure.cells.sum(axis=1, keepdims=True)) for measure in rule.measures] for rule in rules
    ]
    cells = [measure.cells for rule in rules for measure in rule.measures]
    stacked, ends = np.concatenate(cells), np.cumsum([len(one) for one in cells])[:-1]  # one product for all of them
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in rules]
    for block in range(-(-resamples // BLOCK)):
        sums = iter(np.split(stacked @ draw(n_patients, seed, block).astype(np.float64), ends))
        for rule, parts in zip(rules, drawn, strict=True):
            trials = [np.stack([*measure.read(next(sums)).values()]) for measure in rule.measures]
            parts.append(mean_where_defined(trials))  # (metrics, 256)
    for rule, found, parts in zip(rules, estimates, drawn, strict=True):
        yield [*_rows(rule, found, np.concatenate(parts, axis=1)[:, :resamples])]


def _numbers(rule: Rule, by_trial: NDArray[np.float64], drawn: NDArray[np.float64]) -> dict[str, Estimate]:
    """Return what a rule gives, from the values of its trials (trials, metrics, 1) and the resamples (metrics, R)."""
    alone = [measure.read(measure.cells) for measure in rule.measures]  # who has no value alone carries none
    values = mean_where_defined([*by_trial])[:, 0]
    carried = [int(np.any([~np.isnan(trial[metric]) for trial in alone], axis=0).sum()) for metric in alone[0]]
    return {
        metric: Estimate(float(value), resamples, Carried(n, n))
        for metric, value, resamples, n in zip(alone[0], values, drawn, carried, strict=True)
    }


def _bounds(rule: Rule, metric: str, numbers: Numbers) -> Bounds:
    """Return the interval of one number; NaN where no resample differs and nothing says how far it may be."""
    one = numbers[metric]
    if np.isnan(one.value):
        return np.nan, np.nan
    if metric in rule.follows:
        low, high = rule.follows[metric](numbers)
        return min(low, one.value), max(high, one.value)  # the mean over trials is not what their mean shares give
    if metric in _SHARES:
        return of_share(one.value, one.resamples, one.carried.value)
    low, high = interval(one.resamples)
    return (low, high) if low < high else (np.nan, np.nan)


def _rows(rule: Rule, found: list[dict[str, Values]], drawn: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    by_trial = np.stack([np.stack([*one.values()]) for one in found])  # (trials, metrics, 1)
    numbers = _numbers(rule, by_trial, drawn)
    for at, (metric, number) in enumerate(numbers.items()):
        if metric in rule.behind:
            continue
        low, high = _bounds(rule, metric, numbers)
        notes = [*rule.notes, *_gaps(rule, metric, by_trial[:, at]), *_broken(rule, metric, high)]
        yield {
            "rule": rule.rule, "label": rule.label, "calibration": rule.calibration, "threshold": rule.threshold,
            "metric": metric, "estimate": number.value, "low": low, "high": high, "note": ". ".join(notes) or None,
            "chosen_on": rule.chosen_on,
        }  # fmt: skip


def _gaps(rule: Rule, metric: str, by_trial: NDArray[np.float64]) -> Iterator[str]:
    n = int(np.isnan(by_trial).sum())
    if n:
        yield f"undefined in {n} of {len(by_trial)} trials: {rule.undefined.get(metric, 'nothing to count')}"


def _broken(rule: Rule, metric: str, high: float) -> Iterator[str]:
    least = rule.promised.get(metric)
    if least is not None and high < least:
        yield f"shown to be short of the {least:g} that was asked for"
