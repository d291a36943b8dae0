"""Second opinions: the same pairs compared by other methods, beside the paired bootstrap that decides.

Clustered DeLong where the primary metric is the AUC of a binary task; McNemar, which asks for the share called right
whatever the primary metric is; a permutation of patients; and where it is asked for, how probable it is that a
difference matters. Each pair is compared on the folds and seeds that both families finished. Holm's correction is
applied within each method, but not to probabilities of the Bayesian one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import polars as pl

from grandrounds import tables
from grandrounds.cores import processors
from grandrounds.evaluate import delong, permutation, rope
from grandrounds.evaluate.bootstrap import layout
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.compare import ALPHA, holm, holm_levels, judged
from grandrounds.evaluate.contrast import Contrast
from grandrounds.evaluate.mcnemar import mcnemar

DELONG = "DeLong, clustered (Obuchowski)"


class _Pair(NamedTuple):
    a: str
    b: str
    cohort: Cohort  # the two families on the runs that both finished


class _Opinion(NamedTuple):
    pair: _Pair
    method: str
    metric: str
    contrast: Callable[[float], Contrast]  # by the level that its interval leaves out


def opinions(
    cohort: Cohort, primary: MetricEntry, margin: float, draws: int, seed: int, *, practical: bool = False
) -> pl.DataFrame:
    """Return further rows of the comparisons table.

    Args:
        cohort: What was judged.
        primary: The metric that decides.
        margin: Differences within this much count as equal; for the metric that decides, no other.
        draws: Permutations, and draws of the posterior.
        seed: Of the draws.
        practical: Whether the Bayesian rows are wanted; they bring the columns `p_better`, `p_equivalent` and
            `p_worse`: the probabilities that a is better by more than the margin, within it, and worse.
    """
    pairs = [*_pairs(cohort)]
    with ThreadPoolExecutor(processors()) as pool:
        permuted = pool.map(lambda pair: _permuted(pair, primary, draws, seed), pairs)
    methods = [
        [*_delong(pairs, primary)],
        [_Opinion(pair, *_mcnemar(pair)) for pair in pairs],
        [_Opinion(pair, permutation.METHOD, primary.name, found) for pair, found in zip(pairs, permuted, strict=True)],
    ]
    rows = [row for method in methods for row in _rows(method, primary, margin)]
    frames = [_frame(rows, cohort)]
    if practical:
        frames.append(_frame([*_practical(pairs, primary, margin, draws, seed)], cohort))
    return pl.concat(frames, how="diagonal")


def _pairs(cohort: Cohort) -> Iterator[_Pair]:
    for a, b in itertools.combinations(cohort.families, 2):
        if shared := cohort.runs(a) & cohort.runs(b):
            yield _Pair(a, b, cohort.restricted((a, b), shared))


def _delong(pairs: Sequence[_Pair], primary: MetricEntry) -> Iterator[_Opinion]:
    for pair in pairs:
        positive = positive_of(pair.cohort.task)
        if primary.name == "auc" and positive is not None:
            found = delong.pooled(pair.cohort, (pair.a, pair.b), pair.cohort.task.classes.index(positive))

            def contrast(level: float, found: delong.Areas = found) -> Contrast:
                return delong.difference(found, 0, 1, level)

            yield _Opinion(pair, DELONG, primary.name, contrast)


def _mcnemar(pair: _Pair) -> tuple[str, str, Callable[[float], Contrast]]:
    return mcnemar(pair.cohort, pair.a, pair.b)[0], "accuracy", lambda level: mcnemar(*pair[2:], *pair[:2], level)[1]


def _permuted(pair: _Pair, primary: MetricEntry, draws: int, seed: int) -> Callable[[float], Contrast]:
    found = permutation.permutation(pair.cohort, pair.a, pair.b, primary, draws, seed)
    return lambda _: found


def _rows(method: Sequence[_Opinion], primary: MetricEntry, margin: float) -> Iterator[dict[str, object]]:
    raw = [opinion.contrast(ALPHA).p for opinion in method]
    for opinion, adjusted, level in zip(method, holm(raw), holm_levels(raw), strict=True):
        found = opinion.contrast(level)
        decides = opinion.metric == primary.name and opinion.method == DELONG
        # Without an interval, or on another metric than the margin's, nothing can be called equivalent.
        span = (found.low, found.high, margin) if decides else (found.estimate, found.estimate, 0.0)
        sign = 1 if opinion.metric != primary.name or primary.better == "higher" else -1
        yield {
            "family_a": opinion.pair.a, "family_b": opinion.pair.b, "metric": opinion.metric,
            "difference": found.estimate, "low": found.low, "high": found.high, "p_adjusted": adjusted,
            "verdict": judged(*span[:2], adjusted, span[2], sign), "method": opinion.method,
        }  # fmt: skip


def _practical(
    pairs: Sequence[_Pair], primary: MetricEntry, margin: float, draws: int, seed: int
) -> Iterator[dict[str, object]]:
    for pair in pairs:
        drawn = rope.posterior(pair.cohort, primary, draws, seed)
        column = layout(pair.cohort.task, (primary,))[0]
        n = min(Carriers.of(pair.cohort, one).carried(column).difference for one in (pair.a, pair.b))
        differences = drawn[pair.a] - drawn[pair.b]
        found = rope.practical(rope.stretched(differences, n, seed), margin, 1 if primary.better == "higher" else -1)
        yield {
            "family_a": pair.a, "family_b": pair.b, "metric": primary.name, "difference": float(differences.mean()),
            "low": found.low, "high": found.high, "verdict": found.word, "method": rope.METHOD,
            "p_better": found.better, "p_equivalent": found.equivalent, "p_worse": found.worse,
        }  # fmt: skip


def _frame(rows: Sequence[dict[str, object]], cohort: Cohort) -> pl.DataFrame:
    frame = pl.DataFrame(rows) if rows else tables.empty(tables.COMPARISONS)
    frame = frame.with_columns(task=pl.lit(cohort.task.name), unit=pl.lit(cohort.unit))
    return tables.check(frame, tables.COMPARISONS).with_columns(pl.col(pl.Float64).fill_nan(None))
