"""Deal groups of cases to parts of given shares: no group is cut, every class is spread as evenly as that allows.

The same idea as scikit-learn's `StratifiedGroupKFold` (largest groups first, each to the part that needs it most), but
parts may have unequal shares, patients count as well as cases, and a part that a class has not reached is mended
rather than left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds

_LEAST_DRAWS, _WORK = 2, 20_000  # many groups balance at the first draw: their draws are fewer
_MANY = 5_000  # groups, for which a compiled loop is worth its second to compile

Counts = NDArray[np.int64]  # (G, K): cases of each class in each group
Parts = NDArray[np.int64]  # (G,): the part that each group goes to
_Real = NDArray[np.float64]


def deal(
    counts: Counts,
    shares: NDArray[np.float64],
    *,
    seed: int,
    priority: NDArray[np.int64],
    n_draws: int = 20,
) -> Parts:
    """Return the part of each group, the most even of several draws.

    Args:
        counts: Cases of each class in each group, (G, K).
        shares: Share of the whole that each part is to get, (F,), sum 1.
        seed: Root of the draws.
        priority: How bad it is for each part to lack a class, (F,).
        n_draws: Draws at most; fewer where there are many groups.
    """
    counts = counts[:, counts.sum(axis=0) > 0]  # (G, K): a class that is absent can be missing nowhere
    holds = counts > 0
    features = np.hstack([counts / counts.sum(axis=0), holds / holds.sum(axis=0)])  # (G, 2K): of cases, of patients
    best, least = np.zeros(len(counts), dtype=np.int64), (np.inf, np.inf)
    for draw in range(min(n_draws, max(_LEAST_DRAWS, _WORK // len(counts)))):
        parts = _spread(features, shares, seeds.generator(seed, "deal", draw=draw))
        parts = _mend(parts, holds, features, shares, priority)
        lacking = float((absent(parts, holds, len(shares)) * priority[:, None]).sum())
        score = (lacking, _unevenness(parts, features, shares))
        if score < least:
            best, least = parts, score
    return best


def absent(parts: Parts, holds: NDArray[np.bool_], n_parts: int) -> NDArray[np.bool_]:
    """Return which class no group of which part has, (F, K)."""
    return ~np.stack([holds[parts == part].any(axis=0) for part in range(n_parts)])


def _spread(features: _Real, shares: _Real, rng: np.random.Generator) -> Parts:
    # Large groups first is the most even; some draws keep to it loosely, for the few layouts where it leads nowhere.
    looseness = rng.uniform() ** 3
    order = np.argsort(-np.linalg.norm(features, axis=1) * rng.uniform(1 - looseness, 1, len(features)))
    if len(features) > _MANY:
        from grandrounds.splits.many import spread_fast  # noqa: PLC0415  (numba takes a second, and few sets want it)

        compiled: Parts = spread_fast(features, shares, order)
        return compiled
    part_of = np.zeros(len(features), dtype=np.int64)
    load = np.zeros((len(shares), features.shape[1]))  # (F, 2K)
    share = shares[:, None]
    for group in order:
        x = features[group]
        # The growth of sum((load - share)² / share), were the group to go to each part.
        growth = (x * (2 * (load - share) + x) / share).sum(axis=1)  # (F,)
        part = int(growth.round(12).argmin())
        part_of[group] = part
        load[part] += x
    return part_of


def _unevenness(parts: Parts, features: _Real, shares: _Real) -> float:
    load = np.stack([features[parts == part].sum(axis=0) for part in range(len(shares))])  # (F, 2K)
    return float(((load - shares[:, None]) ** 2 / shares[:, None]).sum())


def _mend(parts: Parts, holds: NDArray[np.bool_], features: _Real, shares: _Real, priority: Counts) -> Parts:
    """Move one group at a time to a part that lacks its class, as long as that helps more than it harms."""
    parts = parts.copy()
    while True:
        have = np.stack([holds[parts == part].sum(axis=0) for part in range(len(shares))])  # (F, K)
        gained = (holds.astype(np.int64) @ (have == 0).T.astype(np.int64)) * priority  # (G, F)
        lost = (holds & (have[parts] == 1)).sum(axis=1) * priority[parts]  # (G,)
        net = gained - lost[:, None]  # (G, F)
        if net.max() <= 0:
            return parts
        moves = np.argwhere(net == net.max())  # (M, 2): group, part
        trials = [np.where(np.arange(len(parts)) == group, part, parts) for group, part in moves[:50]]
        parts = min(trials, key=lambda trial: _unevenness(trial, features, shares))
