"""The curves table: ROC, precision-recall, calibration, decision and confusion of each family, ready to be drawn.

ROC and precision-recall curves are averaged vertically over folds and seeds on a fixed grid of false-positive rates and
of recalls. Calibration and net benefit are pooled over them: what was predicted in a bin, or from a threshold on,
against what came true. Bands are pointwise 95 % from a few hundred of the draws of the bootstrap, and say nothing about
the whole curve at once. Rates, precision and the share that came true in a bin have the interval of a share, and net
benefit what follows from its two: where nothing was missed, or nobody called, no draw differs, and few patients leave
room for more or less.

Reference: Fawcett, Pattern Recognition Letters 27:861 (2006), vertical averaging; Vickers & Elkin, Medical Decision
Making 26:565 (2006), decision curves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from grandrounds import tables
from grandrounds.compiled import compiled
from grandrounds.evaluate.bootstrap import BLOCK, draw, mean_where_defined
from grandrounds.evaluate.bounds import of_balance, of_mean, of_share
from grandrounds.evaluate.catalogue import TREAT_ALL, positive_of
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.tables import Task

GRID = np.linspace(0.0, 1.0, 101)  # false-positive rates, and recalls
THRESHOLDS = np.linspace(0.01, 0.99, 99)  # probabilities from which a positive decision is taken
ODDS = THRESHOLDS / (1 - THRESHOLDS)  # how many times a hit a false alarm costs there
N_BINS = 10  # of the reliability curve

_Row = dict[str, Any]
_Heights = Callable[[Group, int, NDArray[np.uint8]], NDArray[np.float64]]


def curves(cohort: Cohort, seed: int) -> pl.DataFrame:
    """Return the curves table.

    `roc`: x false-positive, y true-positive rate, one curve a class and, with null label, their mean (binary: the
    positive class alone). `calibration`: x mean probability, y share that came true, by class as for `roc`; with null
    label the highest probability against being right. `precision-recall`: x recall, y precision, by class as for `roc`.
    `decision`: x threshold, y net benefit, by class as for `roc`; what deciding positively for everybody would bring
    stands as the family "treat all". `confusion`: y is the count, summed over the folds and averaged
    over seeds and repeats.

    Args:
        cohort: What was judged.
        seed: Of the draws.
    """
    ones = np.ones((len(cohort.patients), 1), np.uint8)
    weights = np.concatenate(
        [ones, draw(len(cohort.patients), seed, 0)[:, : _n_draws(cohort)]], axis=1
    )  # (P, 1 + draws)
    rows: list[_Row] = []
    for family in cohort.families:
        groups = cohort.of(family)
        made = [
            *_averaged("roc", _heights, groups, cohort.task, weights, rises=True),
            *_averaged("precision-recall", _precisions, groups, cohort.task, weights),
            *_calibration(groups, cohort.task, weights),
            *_net_benefit(groups, cohort.task, weights),
            *_confusion(groups, cohort.task),
        ]
        rows += [{"family": family, "task": cohort.task.name, **row} for row in made]
    rows += [{"family": TREAT_ALL, "task": cohort.task.name, **row} for row in _treat_all(cohort, weights)]
    frame = pl.DataFrame(rows, schema=dict(tables.CURVES.columns))
    return tables.check(frame.with_columns(pl.col("x", "y", "low", "high").fill_nan(None)), tables.CURVES)


def _n_draws(cohort: Cohort) -> int:
    """Return how many draws a band is made of; of a very large set fewer, since its bands are narrow anyway."""
    most = max(sum(len(one.label) for one in cohort.of(family)) for family in cohort.families)
    return int(np.clip(50_000_000 / most, 64, BLOCK))


def _averaged(
    curve: str, heights_of: _Heights, groups: tuple[Group, ...], task: Task, weights: NDArray[np.uint8],
    *, rises: bool = False,
) -> Iterator[_Row]:  # fmt: skip
    """Yield a curve on the grid, averaged over folds and seeds, and its mean over classes where there are several."""
    drawn, ends = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for klass, name in _shown(task):
        heights = [_in_parts(partial(heights_of, one, klass), len(one.patient), weights) for one in groups]
        n_carriers = len(np.unique(np.concatenate([one.patient[one.label == klass] for one in groups])))
        drawn.append(mean_where_defined(heights))
        ends.append(_ends(drawn[-1], n_carriers))
        yield from _points(curve, name, GRID, drawn[-1], _never_falling(ends[-1]) if rises else ends[-1])
    if len(drawn) > 1:
        of_classes = np.stack(drawn, axis=1)  # (points, K, 1 + R)
        mean = [of_mean(one[:, 0], low_high, one[:, 1:])
                for one, low_high in zip(of_classes, np.stack(ends, axis=1), strict=True)]  # fmt: skip
        yield from _points(curve, None, GRID, of_classes.mean(axis=1), _never_falling(mean) if rises else mean)


def _descent(
    probs: NDArray[np.float64], positive: NDArray[np.bool_], patient: NDArray[np.int64], weights: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return scores (ties,), and the weight of hits and alarms at or above each, from none on, (ties + 1, R)."""
    order = np.argsort(-probs, kind="stable")
    score = probs[order]
    last = np.r_[score[1:] != score[:-1], True]  # last row of each tie
    return score[last], *_cumulated(patient[order], positive[order], last, np.ascontiguousarray(weights))


@compiled
def _cumulated(
    patient: NDArray[np.int64], positive: NDArray[np.bool_], last: NDArray[np.bool_], weights: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_draws = weights.shape[1]
    hits = np.zeros((last.sum() + 1, n_draws))
    alarms = np.zeros((last.sum() + 1, n_draws))
    tie = 1
    for i in range(len(patient)):
        counted = hits if positive[i] else alarms
        for r in range(n_draws):
            counted[tie, r] += weights[patient[i], r]
        if last[i]:
            tie += 1
            if tie < len(hits):
                hits[tie] = hits[tie - 1]
                alarms[tie] = alarms[tie - 1]
    return hits, alarms


def _precisions(group: Group, klass: int, weights: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the precision at the first score that reaches each recall of the grid, (101, R); NaN where undefined."""
    _, hits, alarms = _descent(group.probs[:, klass], group.label == klass, group.patient, weights)
    precisions = np.full((len(GRID), weights.shape[1]), np.nan)
    for r in np.flatnonzero(hits[-1] > 0):
        found = hits[1:, r]
        at = np.searchsorted(found, GRID * found[-1] * (1 - 1e-12))
        at = np.maximum(at, np.searchsorted(found + alarms[1:, r], 0, side="right"))  # a draw may lack the first rows
        precisions[:, r] = found[at] / (found[at] + alarms[1:, r][at])
    return precisions


def _net_benefit(groups: tuple[Group, ...], task: Task, weights: NDArray[np.uint8]) -> Iterator[_Row]:
    probs, label = np.concatenate([one.probs for one in groups]), np.concatenate([one.label for one in groups])
    patient = np.concatenate([one.patient for one in groups])
    n = len(np.unique(patient))
    for klass, name in _shown(task):
        drawn = _in_parts(partial(_called, probs[:, klass], label == klass, patient), len(patient), weights)
        hits, alarms = np.split(drawn, 2)
        ends = [of_balance(*one) for one in zip(hits, alarms, itertools.repeat(n), ODDS)]
        yield from _points("decision", name, THRESHOLDS, hits - alarms * ODDS[:, None], ends)


def _treat_all(cohort: Cohort, weights: NDArray[np.uint8]) -> Iterator[_Row]:
    """Yield the net benefit of a positive decision for everybody whom the first family was tested on."""
    groups = cohort.of(cohort.families[0])
    everybody = tuple(replace(one, probs=np.ones_like(one.probs)) for one in groups)
    yield from _net_benefit(everybody, cohort.task, weights)


def _called(
    probs: NDArray[np.float64], positive: NDArray[np.bool_], patient: NDArray[np.int64], weights: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return hits and then alarms at or above each threshold as shares of all rows, (2 · 99, R)."""
    score, hits, alarms = _descent(probs, positive, patient, weights)
    called = np.searchsorted(-score, -THRESHOLDS, side="right")  # ties at or above each threshold
    n = hits[-1] + alarms[-1]
    both = np.concatenate([hits[called], alarms[called]])
    return np.asarray(np.divide(both, n, out=np.full(both.shape, np.nan), where=n > 0))


def _heights(group: Group, klass: int, weights: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the true-positive rate at each false-positive rate of the grid, (101, R); NaN where undefined."""
    _, hits, alarms = _descent(group.probs[:, klass], group.label == klass, group.patient, weights)
    heights = np.full((len(GRID), weights.shape[1]), np.nan)
    for r in np.flatnonzero((hits[-1] > 0) & (alarms[-1] > 0)):
        heights[:, r] = np.interp(GRID, alarms[:, r] / alarms[-1, r], hits[:, r] / hits[-1, r])
    return heights


def _calibration(groups: tuple[Group, ...], task: Task, weights: NDArray[np.uint8]) -> Iterator[_Row]:
    probs, label = np.concatenate([one.probs for one in groups]), np.concatenate([one.label for one in groups])
    patient = np.concatenate([one.patient for one in groups])
    sides = [(name, probs[:, klass], label == klass) for klass, name in _shown(task)]
    for name, predicted, true in (*sides, (None, probs.max(axis=1), probs.argmax(axis=1) == label)):
        bins = np.minimum((predicted * N_BINS).astype(np.int64), N_BINS - 1)
        order = np.argsort(bins, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(bins[order]) > 0])  # first row of each bin that is not empty
        x = np.add.reduceat(predicted[order], starts) / np.diff(np.r_[starts, len(order)])
        shares = partial(_shares, true[order], starts, patient[order])
        n_patients = [len(np.unique(of_bin)) for of_bin in np.split(patient[order], starts[1:])]
        drawn = _in_parts(shares, len(patient), weights)
        yield from _points("calibration", name, x, drawn, _ends(drawn, n_patients))


def _shares(
    true: NDArray[np.bool_], starts: NDArray[np.int64], patient: NDArray[np.int64], weights: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the share of each bin that came true, (bins, R); NaN where a draw leaves a bin empty."""
    weight = weights[patient].astype(np.float64)
    n = np.add.reduceat(weight, starts, axis=0)
    hits = np.add.reduceat(weight * true[:, None], starts, axis=0)
    return np.asarray(np.divide(hits, n, out=np.full(n.shape, np.nan), where=n > 0))


def _in_parts(
    curve: Callable[[NDArray[np.uint8]], NDArray[np.float64]], n_rows: int, weights: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return a curve (points, R) from the weights of patients, some draws at a time so that memory stays small."""
    n_parts = 1 + n_rows * weights.shape[1] // 8_000_000
    parts = np.array_split(weights, min(n_parts, weights.shape[1]), axis=1)
    return np.concatenate([curve(part) for part in parts], axis=1)


def _confusion(groups: tuple[Group, ...], task: Task) -> Iterator[_Row]:
    n = len(task.classes)
    counts = np.zeros((n, n))
    repeats = {group.repeat for group in groups}
    for group in groups:
        # Seeds of one fold, and repeats, predict the same samples again: they share one count.
        n_seeds = sum(one.cell == group.cell for one in groups)
        np.add.at(counts, (group.label, group.probs.argmax(axis=1)), 1.0 / n_seeds / len(repeats))
    for true, name in enumerate(task.classes):
        for called, other in enumerate(task.classes):
            yield {"curve": "confusion", "label": name, "predicted": other, "y": counts[true, called]}


def _shown(task: Task) -> list[tuple[int, str]]:
    positive = positive_of(task)
    return [(at, name) for at, name in enumerate(task.classes) if positive in (None, name)]


def _points(
    curve: str, label: str | None, x: NDArray[np.float64], y: NDArray[np.float64], ends: Iterable[Sequence[float]]
) -> Iterator[_Row]:
    """Yield one row a point from heights (points, 1 + R), the first of which is the estimate, and (points, 2) ends."""
    for at, heights, (low, high) in zip(x, y, ends, strict=True):
        yield {"curve": curve, "label": label, "x": at, "y": heights[0], "low": low, "high": high}


def _ends(heights: NDArray[np.float64], carriers: int | Sequence[int]) -> NDArray[np.float64]:
    """Return the interval (points, 2) of shares (points, 1 + R) that so many patients carry; NaN where undefined."""
    n = np.broadcast_to(carriers, len(heights))
    return np.array([
        of_share(float(one[0]), one[1:], int(of)) if not np.isnan(one[0]) else (np.nan, np.nan)
        for one, of in zip(heights, n, strict=True)
    ]).reshape(-1, 2)  # fmt: skip


def _never_falling(ends: ArrayLike) -> NDArray[np.float64]:
    """Return the ends (points, 2) of a ROC curve: it ends at 1, and what a point excludes is so on its farther side."""
    band = np.array(ends)
    band[-1] = np.where(np.isnan(band[-1]), np.nan, 1.0)
    band[:, 0] = np.fmax.accumulate(band[:, 0])
    band[:, 1] = np.fmin.accumulate(band[::-1, 1])[::-1]
    return band
