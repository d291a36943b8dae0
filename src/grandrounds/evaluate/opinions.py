"""Second opinions: the same pairs compared by other methods, beside the paired bootstrap that decides.

Clustered DeLong where the primary metric is the AUC of a binary task; McNemar, which asks for the share called right
whatever the primary metric is; a permutation of patients; and where it is asked for, how probable it is that a
difference matters. Each pair is compared on the folds and seeds that both families finished. Holm's correction is
applied within each method, but not to probabilities of the Bayesian one.

Where a family hardly ever errs, neither the variance of its placements nor any weights of those who were seen say how
often it will. DeLong's interval and the Bayesian draws are then lengthened as the deciding interval is, so that nobody
is called equivalent for want of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from grandrounds import tables
from grandrounds.cores import processors
from grandrounds.evaluate import delong, permutation, rope
from grandrounds.evaluate.bootstrap import interval
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.compare import ALPHA, holm, holm_levels, judged
from grandrounds.evaluate.contrast import Contrast
from grandrounds.evaluate.mcnemar import mcnemar
from grandrounds.evaluate.pairs import Pair

DELONG = "DeLong, clustered (Obuchowski)"


class _Shared(NamedTuple):
    pair: Pair
    cohort: Cohort  # the two families on the runs that both finished


class _Opinion(NamedTuple):
    pair: Pair
    method: str
    metric: str
    contrast: Callable[[float], Contrast]  # by the level that its interval leaves out


def opinions(
    cohort: Cohort, pairs: Sequence[Pair], primary: MetricEntry, margin: float, draws: int, seed: int, *,
    practical: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """Return further rows of the comparisons table.

    Args:
        cohort: What was judged.
        pairs: Its families side by side, see `paired`.
        primary: The metric that decides.
        margin: Differences within this much count as equal; for the metric that decides, no other.
        draws: Permutations, and draws of the posterior.
        seed: Of the draws.
        practical: Whether the Bayesian rows are wanted; they bring the columns `p_better`, `p_equivalent` and
            `p_worse`: the probabilities that a is better by more than the margin, within it, and worse.
    """
    shared = [*_sharing(cohort, pairs)]
    with ThreadPoolExecutor(processors()) as pool:
        permuted = pool.map(lambda one: _permuted(one, primary, draws, seed), shared)
    methods = [
        [*_delong(shared, primary)],
        [_Opinion(one.pair, *_mcnemar(*one)) for one in shared],
        [_Opinion(one.pair, permutation.METHOD, primary.name, it) for one, it in zip(shared, permuted, strict=True)],
    ]
    rows = [row for method in methods for row in _rows(method, primary, margin)]
    frames = [_frame(rows, cohort)]
    if practical:
        frames.append(_frame([*_practical(shared, primary, margin, draws, seed)], cohort))
    return pl.concat(frames, how="diagonal")


def _sharing(cohort: Cohort, pairs: Sequence[Pair]) -> Iterator[_Shared]:
    for pair in pairs:
        if runs := cohort.runs(pair.a) & cohort.runs(pair.b):
            yield _Shared(pair, cohort.restricted((pair.a, pair.b), runs))


def _delong(shared: Sequence[_Shared], primary: MetricEntry) -> Iterator[_Opinion]:
    for pair, cohort in shared:
        positive = positive_of(cohort.task)
        if primary.name == "auc" and positive is not None:
            found = delong.pooled(cohort, (pair.a, pair.b), cohort.task.classes.index(positive))

            def contrast(level: float, found: delong.Areas = found, pair: Pair = pair) -> Contrast:
                own = delong.difference(found, 0, 1, level)
                low, high = pair.no_shorter((own.low, own.high), primary, level)
                return replace(own, low=low, high=high)

            yield _Opinion(pair, DELONG, primary.name, contrast)


def _mcnemar(pair: Pair, cohort: Cohort) -> tuple[str, str, Callable[[float], Contrast]]:
    return mcnemar(cohort, pair.a, pair.b)[0], "accuracy", lambda level: mcnemar(cohort, pair.a, pair.b, level)[1]


def _permuted(shared: _Shared, primary: MetricEntry, draws: int, seed: int) -> Callable[[float], Contrast]:
    found = permutation.permutation(shared.cohort, shared.pair.a, shared.pair.b, primary, draws, seed)
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
    shared: Sequence[_Shared], primary: MetricEntry, margin: float, draws: int, seed: int
) -> Iterator[dict[str, object]]:
    for pair, cohort in shared:
        drawn = rope.posterior(cohort, primary, draws, seed)
        differences = drawn[pair.a] - drawn[pair.b]
        spread = rope.stretched(differences, pair.n, seed)
        reach = pair.no_shorter(interval(spread), primary, ALPHA)
        found = rope.practical(rope.reaching(spread, reach), margin, 1 if primary.better == "higher" else -1)
        yield {
            "family_a": pair.a, "family_b": pair.b, "metric": primary.name, "difference": float(differences.mean()),
            "low": found.low, "high": found.high, "verdict": found.word, "method": rope.METHOD,
            "p_better": found.better, "p_equivalent": found.equivalent, "p_worse": found.worse,
        }  # fmt: skip


def _frame(rows: Sequence[dict[str, object]], cohort: Cohort) -> pl.DataFrame:
    frame = pl.DataFrame(rows) if rows else tables.empty(tables.COMPARISONS)
    frame = frame.with_columns(task=pl.lit(cohort.task.name), unit=pl.lit(cohort.unit))
    return tables.check(frame, tables.COMPARISONS).with_columns(pl.col(pl.Float64).fill_nan(None))
