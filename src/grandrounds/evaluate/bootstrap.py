"""Patient-clustered bootstrap of every metric of every family, on the same draws.

Patients are drawn with replacement from all patients of the role, once for everything: a draw weighs all samples of a
patient, in every fold, repeat and seed and for every family, so that any two columns of the result are paired. Within a
draw each metric is computed by fold and seed and then averaged, over the folds where it is defined; a macro metric
averages over the classes last, and a ratio of two shares is that of the averages.

Assumes: patients are independent of one another; the fitted models are given (retraining is not part of the interval).

Reference: Davison & Hinkley, Bootstrap Methods and their Application (1997), §2.4 and §3.8; Field & Welsh, JRSS B
69:369 (2007) for whole clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from grandrounds import registry, seeds
from grandrounds.cores import processors
from grandrounds.evaluate.bca import leaving_out, n_groups
from grandrounds.evaluate.catalogue import METRICS, MetricEntry, metrics_for, positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.metrics import Sheet, Tally, ratio, sheet
from grandrounds.tables import Task

Behind = Mapping[tuple[str, str | None], NDArray[np.float64]]
_Measuring = Callable[[Sheet, NDArray[np.uint8]], NDArray[np.float64]]
BLOCK = 256  # resamples abreast: their weights and sums stay in the processor's second-level cache


@dataclass(frozen=True, slots=True)
class Column:
    """One number that is reported for each family.

    Args:
        entry: The metric.
        label: The class; None for the overall value.
        cells: Which of the measured values are averaged.
    """

    entry: MetricEntry
    label: str | None
    cells: tuple[int, ...]

    @property
    def mean_of(self) -> str | None:
        """The metric over whose classes it is the mean, see `MetricEntry.of_class`; None for any other number."""
        return self.entry.of_class if len(self.cells) > 1 else None


@dataclass(frozen=True, slots=True)
class Replicates:
    """Every reported number and its resamples.

    Args:
        families: F names.
        columns: M columns.
        estimate: (F, M) under weights of 1; NaN where undefined.
        values: (F, M, R) under the draws.
        by_group: For each family (groups, cells): the measured values of each fold and seed.
        behind: Measure and class to (F, 1 + R), its value and its resamples: what no table shows and an interval rests
            on, see `MetricEntry.behind`.
    """

    families: tuple[str, ...]
    columns: tuple[Column, ...]
    estimate: NDArray[np.float64]
    values: NDArray[np.float64]
    by_group: tuple[NDArray[np.float64], ...]
    behind: Behind = field(default_factory=lambda: MappingProxyType({}))

    def at(self, metric: str, label: str | None = None) -> int:
        """Return the place of a column."""
        names = [(column.entry.name, column.label) for column in self.columns]
        return names.index((metric, label))


def draw(n_patients: int, seed: int, block: int) -> NDArray[np.uint8]:
    """Return how often each patient is drawn in each of the resamples of one block, (P, 256).

    Poisson-like counts about 1: a byte holds them.

    >>> draw(10, seed=0, block=0).sum(axis=0).tolist() == [10] * 256
    True
    """
    generator = seeds.generator(seed, "bootstrap", block=block)
    counts = np.empty((BLOCK, n_patients), np.uint8)
    for r in range(BLOCK):
        counts[r] = np.bincount(generator.integers(n_patients, size=n_patients), minlength=n_patients)
    return np.ascontiguousarray(counts.T)  # (P, 256)


def resample(
    cohort: Cohort, resamples: int, seed: int, *, metrics: Sequence[MetricEntry] = (), threads: int | None = None
) -> Replicates:
    """Return every metric of every family under weights of 1 and under the draws.

    Args:
        cohort: What is judged.
        resamples: R.
        seed: Of the draws; the first draws of a longer run are those of a shorter one.
        metrics: Which; none for all that apply to the task and have no other interval.
        threads: None for as many as the processor grants; the result does not depend on it.
    """
    entries, sheets = _entries(cohort, metrics), _sheets(cohort)
    hidden = tuple(dict.fromkeys(replace(one, measure=measure) for one in entries for measure in one.behind))
    columns = layout(cohort.task, entries)
    lifted = tuple(one for one in layout(cohort.task, (*entries, *hidden)) if one.entry in hidden)
    every, measured = (*columns, *lifted), _measuring((*entries, *hidden))
    ones = np.ones((len(cohort.patients), 1), np.uint8)
    by_group = [np.stack([measured(one, ones)[:, 0] for one in own]) for own in sheets]  # (groups, cells)
    estimate = np.stack([_summary(mean_where_defined(list(one[:, :, None])), every)[:, 0] for one in by_group])

    def drawn(block: int) -> NDArray[np.uint8]:
        return draw(len(cohort.patients), seed, block)

    values, n = _under(drawn, resamples, sheets, every, measured, threads), len(columns)
    behind = {
        (column.entry.measure, column.label): np.column_stack([estimate[:, at], values[:, at]])
        for at, column in enumerate(lifted, n)
    }
    return Replicates(
        cohort.families, columns, estimate[:, :n], values[:, :n], tuple(by_group), MappingProxyType(behind)
    )


def left_out(
    cohort: Cohort, *, metrics: Sequence[MetricEntry] = (), threads: int | None = None
) -> NDArray[np.float64]:  # fmt: skip
    """Return every metric of every family with each group of patients left out, (F, M, G); see `resample`."""
    entries, n_patients = _entries(cohort, metrics), len(cohort.patients)
    n = n_groups(n_patients)

    def without(block: int) -> NDArray[np.uint8]:
        return leaving_out(n_patients, np.arange(block * BLOCK, min((block + 1) * BLOCK, n)))

    return _under(without, n, _sheets(cohort), layout(cohort.task, entries), _measuring(entries), threads)


def _entries(cohort: Cohort, metrics: Sequence[MetricEntry]) -> tuple[MetricEntry, ...]:
    wanted = tuple(metrics) or tuple(one for one in metrics_for(cohort.task) if one.influence is None)
    rates = [METRICS.get(rate.metric) for one in wanted for rate in one.ratio or ()]
    of_classes = [METRICS.get(one.mean_of) for one in wanted if one.mean_of]
    return tuple(dict.fromkeys((*wanted, *rates, *of_classes)))


def _sheets(cohort: Cohort) -> list[list[Sheet]]:
    return [
        [sheet(group.label, group.probs, group.patient) for group in cohort.of(family)] for family in cohort.families
    ]


def _measuring(entries: Sequence[MetricEntry]) -> _Measuring:
    measures = [registry.load(entry.measure) for entry in entries]

    def measured(one: Sheet, weights: NDArray[np.uint8]) -> NDArray[np.float64]:
        rows: Tally = one.tally(weights)
        made = {measure: np.atleast_2d(measure(rows)) for measure in dict.fromkeys(measures)}  # some serve two metrics
        return np.concatenate([made[measure] for measure in measures])  # (cells, R)

    return measured


def _under(
    weights_of: Callable[[int], NDArray[np.uint8]],
    n: int,
    sheets: Sequence[Sequence[Sheet]],
    columns: Sequence[Column],
    measured: _Measuring,
    threads: int | None,
) -> NDArray[np.float64]:
    """Return every column of every family under n weightings that come in blocks, (F, M, n)."""
    values = np.empty((len(sheets), len(columns), n))

    def fill(block: int) -> None:
        weights = weights_of(block)
        place = slice(block * BLOCK, min((block + 1) * BLOCK, n))
        for family, own in enumerate(sheets):
            average = mean_where_defined([measured(one, weights) for one in own])
            values[family, :, place] = _summary(average, columns)[:, : place.stop - place.start]

    with ThreadPoolExecutor(threads or processors()) as pool:
        list(pool.map(fill, range(-(-n // BLOCK))))
    return values


def layout(task: Task, entries: Sequence[MetricEntry]) -> tuple[Column, ...]:
    """Return what is reported: the overall values first, then the classes."""
    overall, by_class, start = [], [], 0
    positive = positive_of(task)
    for entry in entries:
        cells = tuple(range(start, start + (len(task.classes) if entry.by_class else 1)))
        start = cells[-1] + 1
        if entry.overall == "positive" and positive is not None:
            overall.append(Column(entry, None, (cells[task.classes.index(positive)],)))
        elif entry.overall != "none":
            overall.append(Column(entry, None, cells))
        if entry.per_class:
            by_class += [Column(entry, label, (cell,)) for label, cell in zip(task.classes, cells, strict=True)]
    return (*overall, *by_class)


def interval(values: NDArray[np.float64], level: float = 0.05) -> tuple[float, float]:
    """Return the percentile interval that leaves out `level`; undefined resamples do not count.

    The bounds are the k-th smallest and k-th largest values with k = level / 2 · (R + 1), rounded down and at least 1:
    the interval excludes 0 exactly where the two-sided p of `p_value` is at most `level`.

    >>> interval(np.arange(1.0, 40.0), level=0.05)
    (1.0, 39.0)
    """
    defined = np.sort(values[~np.isnan(values)])
    if not len(defined):
        return np.nan, np.nan
    k = max(int(level / 2 * (len(defined) + 1) + 1e-9), 1)  # the rounding of 0.025 · 40 must not cost a place
    return float(defined[k - 1]), float(defined[-k])


def p_value(differences: NDArray[np.float64]) -> float:
    """Return the two-sided bootstrap p of no difference: twice the smaller share of resamples at or beyond 0.

    The data count as one more resample, so it is never below 2 / (R + 1). NaN where no resample is defined.

    Reference: Davison & Hinkley (1997), §4.2; the test that inverts the percentile interval.

    >>> p_value(np.full(99, 0.1))
    0.02
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return float("nan")
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (1 + beyond) / (1 + len(defined))))


def mean_where_defined(groups: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean over the groups where a value is defined, (cells, R)."""
    total, count = np.zeros_like(groups[0]), np.zeros_like(groups[0])
    for one in groups:
        defined = ~np.isnan(one)
        total += np.where(defined, one, 0.0)
        count += defined
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _summary(average: NDArray[np.float64], columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return every column (M, R) from the averaged cells; a ratio is that of its averaged shares.

    The mean of the ratios of several folds would be infinite where one of them is.
    """
    values = np.stack([average[list(column.cells)].mean(axis=0) for column in columns])
    places = {(column.entry.name, column.label): at for at, column in enumerate(columns)}
    for at, column in enumerate(columns):
        if column.entry.ratio is not None:
            sides = [(values[places[one.metric, column.label]], one.rest) for one in column.entry.ratio]
            above, below = (1 - share if rest else share for share, rest in sides)
            values[at] = ratio(above, below)
    return values
