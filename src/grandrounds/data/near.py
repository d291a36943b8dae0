"""Images that are nearly the same: another crop, window, compression or size of one picture, mirrored or turned.

Descriptions propose pairs (`alike`), laying one picture over the other confirms them (`overlay`). How well two pictures
have to fit depends on the set, for radiographs of knees look more like each other than patches of lung: it is asked of
some look-alikes of the set itself, which are not the nearest and so hardly copies, where almost none of them would
pass. See what came out in benchmarks/near_duplicates.py.

Pictures without content (blank, one flat region) match nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds.cores import processors
from grandrounds.data.alike import MANY, Pair, Turn, likely_between, likely_pairs, look_alikes
from grandrounds.data.glance import Glances, Grey
from grandrounds.data.overlay import Match, has_content, match

MOST_IMAGES = 20_000  # each is compared with all others: four times as long for twice as many
MOST_VERIFIED = 25_000  # pairs; the likeliest go first
# Scores, chosen on planted pairs and on look-alikes in one half of the patients of the sets of the benchmark.
LEAST_SCORE, MOST_SCORE = 3.7, 4.6
_N_ASKED, _RANKS = 400, range(4, 8)  # pictures of the set, and which of the others, the nearest being 0
_TAIL, _PASSING = (0.75, 0.95), 5e-4  # quantiles that the tail is drawn from, and the part of look-alikes that passes


def near_duplicates(seen: Glances, sha256: dict[str, str]) -> pl.DataFrame:
    """Return columns `sample_a, sample_b, mirrored, turned_deg, correlation, detail`: confirmed pairs, closest first.

    `sample_b` is to be mirrored, then turned anticlockwise, to look like `sample_a`. Of identical images only the
    first takes part.

    Args:
        seen: Small pictures of the samples.
        sha256: Hash of the pixels of each sample.
    """
    hashes = pl.Series([sha256[name] for name in seen.samples], dtype=pl.String())
    first = np.flatnonzero(hashes.is_first_distinct().to_numpy())[:MOST_IMAGES]
    rows = first[has_content(seen.grey[first])]
    grey = seen.grey[rows]
    pairs = likely_pairs(grey, MOST_VERIFIED)
    least = least_score(grey)
    content = [
        (seen.samples[rows[pair.a]], seen.samples[rows[pair.b]], *pair.turn, *found)
        for pair, found in zip(pairs, _matches(grey, pairs), strict=True)
        if found.score >= least
    ]
    columns = {"sample_a": pl.String, "sample_b": pl.String, "mirrored": pl.Boolean, "turned_deg": pl.Int64,
               "correlation": pl.Float64, "detail": pl.Float64}  # fmt: skip
    table = pl.DataFrame(content, schema=columns, orient="row").sort("detail", descending=True)
    return table.unique(["sample_a", "sample_b"], keep="first", maintain_order=True)


class Copy(NamedTuple):
    """A picture that is nearly one of another set.

    Args:
        one: Its row.
        other: Row of that of the other set.
        turn: How the other is to be turned to look like it.
        correlation: Of the grey values, where one lies over the other.
    """

    one: int
    other: int
    turn: Turn
    correlation: float


def copies_between(ones: Grey, others: Grey) -> list[Copy]:
    """Return which pictures of a set are nearly the same as one of another set, each with the closest, in their order.

    Args:
        ones: (N, 64, 64); the first `MOST_IMAGES` of them are looked at, and of the others likewise.
        others: (M, 64, 64).
    """
    rows, other_rows = (np.flatnonzero(has_content(grey[:MOST_IMAGES])) for grey in (ones, others))
    ones, others = ones[rows], others[other_rows]
    pairs = likely_between(ones, others, MOST_VERIFIED)
    both = np.concatenate([ones, others])
    found = _matches(both, [Pair(pair.a, len(ones) + pair.b, pair.turn) for pair in pairs])
    least = least_score(both)
    best: dict[int, tuple[float, Copy]] = {}
    for pair, fit in zip(pairs, found, strict=True):
        if fit.score >= max(least, best[pair.a][0] if pair.a in best else 0):
            copy = Copy(int(rows[pair.a]), int(other_rows[pair.b]), pair.turn, fit.correlation)
            best[pair.a] = fit.score, copy
    return [best[row][1] for row in sorted(best)]


def least_score(grey: Grey) -> float:
    """Return the score from which two pictures of this set are taken for one.

    The tail of the scores of look-alikes is taken for exponential, which Fisher's transformation makes cautious.

    Reference: Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, chapter 4 (shape 0).
    """
    if len(grey) < MANY:
        return MOST_SCORE
    pairs = look_alikes(grey, _N_ASKED, _RANKS, np.random.default_rng(0))
    start, end = np.quantile([found.score for found in _matches(grey, pairs)], _TAIL)
    fall = (end - start) / math.log((1 - _TAIL[0]) / (1 - _TAIL[1]))
    return float(np.clip(end + fall * math.log((1 - _TAIL[1]) / _PASSING), LEAST_SCORE, MOST_SCORE))


def _matches(grey: Grey, pairs: Sequence[Pair]) -> list[Match]:
    with ThreadPoolExecutor(processors()) as pool:  # OpenCV works outside Python's lock
        return list(pool.map(lambda pair: match(grey[pair.a], pair.turn.of(grey[pair.b])), pairs))
