"""Intervals from resamples: on the log odds for what has two ends, from chance up for distances, else percentiles.

Close to the end of its scale a share is skewed, and percentiles of its resamples do not reach as far as they should: of
an AUC of 0.98 they cover 88.7 to 93.7 % instead of 95 %. Therefore the standard error of the resamples is taken to the
log odds, with Student's t for the patients who carry the value (`benchmarks/interval_coverage.py` prints what either
covers). Where nothing was missed at all no resample differs, and there is no error to estimate; then n patients
without a miss allow values down to `0.025 ** (1 / n)`, after Clopper and Pearson. Where less than one patient was
missed, log odds can reach almost anywhere, and their bounds are the limit. Whatever else has two ends, as kappa or the
Brier score, is treated as the share of its scale that it reaches. A ratio of two shares, one less another, and the mean
of several follow from their intervals.

A calibration error adds up distances between what is stated and what is seen. Few rows lift it above 0 whatever the
family, and drawing from them lifts it again, so that percentiles lie too high: of a calibrated family they never hold
the truth. Therefore the interval begins at 0 where drawing alone would make as much of it, and ends where the
percentiles do, less what drawing added on average.

Assumes: patients are independent.

Reference: Bröcker, Climate Dynamics 39:655 (2012), for what few rows add; Agresti, Categorical Data Analysis (2002),
§3.1.6 and §1.4; Obuchowski & Lieber, Academic Radiology 9:526 (2002) for an area of 1; Newcombe, Statistics in Medicine
17:2635 (1998) and Zou & Donner, ibid. 27:1693 (2008) for differences.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, expit, logit, stdtrit

from grandrounds.evaluate.bootstrap import Replicates, interval
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import MetricEntry, Rate
from grandrounds.evaluate.differences import farther, interval_of
from grandrounds.evaluate.estimates import Estimate

NOTHING = 1e-12  # below, a spread or a distance is rounding

Bounds = tuple[float, float]
_Value = TypeVar("_Value", float, NDArray[np.float64])


def bounds(drawn: Replicates, place: int, at: int, carriers: Carriers) -> Bounds:
    """Return the 95 % interval of one number; NaN where the number or every resample is undefined.

    Args:
        drawn: The number among others, with its resamples.
        place: Of its family.
        at: Of its column.
        carriers: Of its family.
    """
    column, estimate, values = drawn.columns[at], float(drawn.estimate[place, at]), drawn.values[place, at]
    entry = column.entry
    if np.isnan(estimate):
        return np.nan, np.nan
    if entry.by_chance is not None:
        return of_distance(estimate, values, drawn.behind[entry.by_chance, column.label][place, 1:])
    if entry.ratio is not None:
        return of_ratio(*(_rate(one, drawn, place, column.label, carriers) for one in entry.ratio))
    if entry.balance is not None:
        gained, lost = (drawn.behind[one, column.label][place] for one in entry.balance)
        return of_balance(gained, lost, carriers.number(column))
    if entry.carried_by is None:
        return interval(values)
    return of_estimate(entry, Estimate.of(drawn, place, at, carriers))


def of_estimate(entry: MetricEntry, estimate: Estimate, level: float = 0.05) -> Bounds:
    """Return the interval of a value that its scale bounds, which leaves out `level`; of a mean from its parts."""
    if estimate.parts:
        ends = [of_estimate(entry, one, level) for one in estimate.parts]
        return of_mean([one.value for one in estimate.parts], ends, estimate.stacked)
    low, high = on_scale(entry, estimate.value, estimate.resamples, estimate.carried.value, level)
    return _with_unseen(entry, estimate, (low, high)) if any(estimate.unseen) else (low, high)


def _with_unseen(entry: MetricEntry, estimate: Estimate, ends: Bounds) -> Bounds:
    """Return the interval with what misses and hits that were not seen may add."""
    value, (least, most) = estimate.value, entry.scale
    varies = bool(np.nanstd(estimate.resamples) > NOTHING)
    seen = [abs(value - end) if varies else 0.0 for end in ends]  # without a draw that differs all is unseen
    down, up = (float(np.hypot(one, unseen)) for one, unseen in zip(seen, estimate.unseen, strict=True))
    return max(value - down, least), min(value + up, most)


def on_scale(
    entry: MetricEntry, estimate: float, values: NDArray[np.float64], n_carriers: int, level: float = 0.05
) -> Bounds:
    """Return the interval of a value that its scale bounds, as `of_share` has it of how far up the scale it is."""
    least, length = entry.scale[0], _length(entry)
    low, high = of_share(_share(entry, estimate), _share(entry, values), n_carriers, level)
    return least + length * low, least + length * high


def of_mean(
    values: ArrayLike, ends: ArrayLike, resamples: NDArray[np.float64], weights: ArrayLike | None = None
) -> Bounds:
    """Return the interval of a mean that follows from those of its parts.

    Args:
        values: (K,) of the parts.
        ends: (K, 2) their intervals.
        resamples: (K, R) which say how the parts vary together.
        weights: (K,) which sum to 1; None where all weigh the same.

    Reference: Zou, Statistics in Medicine 28:1319 (2009), for sums.

    >>> low, high = of_mean([1.0, 0.8], [(0.9, 1.0), (0.6, 0.9)], np.ones((2, 99)))
    >>> round(low, 3), round(high, 3)
    (0.788, 0.95)
    """
    at, (low, high) = np.asarray(values), np.asarray(ends).T
    share = np.full(len(at), 1 / len(at)) if weights is None else np.asarray(weights)
    ties, mean = _ties(resamples), float(share @ at)
    down, up = (float(np.sqrt(max(reach @ ties @ reach, 0.0))) for reach in (share * (at - low), share * (high - at)))
    return mean - down, mean + up


def _ties(resamples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how resamples (K, R) correlate, (K, K); 0 where one never varies."""
    defined = resamples[:, ~np.isnan(resamples).any(axis=0)]
    ties = np.eye(len(resamples))
    if defined.size:
        apart = defined - defined.mean(axis=1, keepdims=True)
        spread = apart.std(axis=1, keepdims=True)
        unit = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > NOTHING)
        ties = unit @ unit.T / unit.shape[1]
        np.fill_diagonal(ties, 1.0)
    return ties


def _share(entry: MetricEntry, value: _Value) -> _Value:
    """Return how far up its scale a value is."""
    return (value - entry.scale[0]) / _length(entry)


def _length(entry: MetricEntry) -> float:
    return entry.scale[1] - entry.scale[0]


def _rate(
    rate: Rate, drawn: Replicates, place: int, label: str | None, carriers: Carriers
) -> tuple[float, Bounds]:  # fmt: skip
    """Return a share and its interval, or what both leave of 1."""
    at = drawn.at(rate.metric, label)
    share, (low, high) = float(drawn.estimate[place, at]), bounds(drawn, place, at, carriers)
    return (1 - share, (1 - high, 1 - low)) if rate.rest else (share, (low, high))


def of_distance(estimate: float, values: NDArray[np.float64], by_chance: NDArray[np.float64]) -> Bounds:
    """Return the 95 % interval of a value that adds up distances, which drawing alone lifts.

    The lower bound inverts a test: 0 is held where drawing alone makes as much as the value in over 2.5 % of the
    resamples; beyond, what a value between 0 and this one would reach is taken to rise evenly.

    Args:
        estimate: The value.
        values: (R,) resamples.
        by_chance: (R,) what the same draws make of a value of 0.
    """
    high, most = interval(values)[1], interval(by_chance)[1]
    up = max(estimate, high - (float(np.nanmean(values)) - estimate))
    if estimate <= most:
        return min(0.0, estimate), up
    share = (estimate - most) / (max(high, estimate) - most)
    return estimate * min(share, 1.0), up


def of_ratio(above: tuple[float, Bounds], below: tuple[float, Bounds]) -> Bounds:
    """Return the interval of a ratio of two shares that follows from their own; without an upper bound it is infinite.

    The two are taken to be independent, as shares of patients with and without a finding are. Where a patient has
    images of both, the interval is too long.

    Args:
        above: A share with its interval.
        below: The one it is divided by, with its interval.

    Reference: Donner & Zou, Statistical Methods in Medical Research 21:347 (2012).

    >>> low, high = of_ratio((0.9, (0.8, 0.95)), (0.0, (0.0, 0.1)))
    >>> round(low, 1), high
    (8.9, inf)
    """
    (a, (low_a, high_a)), (b, (low_b, high_b)) = above, below
    if np.isnan((low_a, low_b)).any():
        return np.nan, np.nan
    # Each is a root of a quadratic, in the form that stands where the other form would be 0 by 0.
    least, most = low_a * (2 * a - low_a), high_a * (2 * a - high_a)
    low = a * b + np.sqrt(max((a * b) ** 2 - least * high_b * (2 * b - high_b), 0.0))
    down = low_b * (2 * b - low_b)
    high = a * b + np.sqrt(max((a * b) ** 2 - most * down, 0.0))
    return float(least / low) if low > 0 else 0.0, float(high / down) if down > 0 else np.inf


def of_balance(gained: NDArray[np.float64], lost: NDArray[np.float64], n: int, odds: float = 1.0) -> Bounds:
    """Return the interval of a share less another that weighs so many times as much, which follows from their own.

    Args:
        gained: (1 + R,) a share of n patients and its resamples.
        lost: (1 + R,) the one that is taken off, of the same draws.
        n: Patients.
        odds: How much a unit of `lost` weighs.

    Reference: Zou & Donner, Statistics in Medicine 27:1693 (2008).

    >>> low, high = of_balance(np.zeros(100), np.zeros(100), n=60, odds=9)
    >>> round(low, 2), round(high, 2)
    (-0.54, 0.06)
    """
    own, other = (of_share(float(one[0]), one[1:], n) for one in (gained, lost))
    weighed, tie = (odds * other[0], odds * other[1]), _ties(np.stack([gained[1:], lost[1:]]))[0, 1]
    return from_own((float(gained[0]), odds * float(lost[0])), (own, weighed), tie)


def of_share(estimate: float, values: NDArray[np.float64], n_carriers: int, level: float = 0.05) -> Bounds:
    """Return the interval of a value between 0 and 1 that leaves out `level`.

    >>> of_share(1.0, np.ones(99), n_carriers=60)[0].__round__(3)
    0.94
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return np.nan, np.nan
    if min(estimate, 1 - estimate) < NOTHING:
        least = (level / 2) ** (1 / max(n_carriers, 1))
        return (least, 1.0) if estimate > 0.5 else (0.0, 1 - least)
    spread = float(defined.std())
    if spread < NOTHING:  # the same whoever is drawn, as the prior's AUC
        return estimate, estimate
    half = stdtrit(max(n_carriers - 1, 1), 1 - level / 2) * spread / (estimate * (1 - estimate))
    low, high = float(expit(logit(estimate) - half)), float(expit(logit(estimate) + half))
    within = _exact(estimate, n_carriers, level) if n_carriers * min(estimate, 1 - estimate) < 1 else (0.0, 1.0)
    return max(low, within[0]), min(high, within[1])


def _exact(estimate: float, n: int, level: float) -> Bounds:
    """Return Clopper and Pearson's bounds of a share of n patients, which need not be a whole number of them."""
    hits = n * estimate
    return float(betaincinv(hits, n - hits + 1, level / 2)), float(betaincinv(hits + 1, n - hits, 1 - level / 2))


def of_paired(entry: MetricEntry, one: Estimate, other: Estimate, n: int, level: float) -> Bounds:
    """Return the interval of a paired difference of one metric; NaN where it is undefined.

    These are percentiles of the paired differences, see `differences`, and no shorter than what the resamples leave
    open, see `no_shorter`; nor longer than the scale, out of which *t* would go with next to no patients.

    Args:
        entry: The metric.
        one: The one, with its resamples.
        other: The other, of the same draws.
        n: Patients on whom the difference rests.
        level: What is left out.
    """
    own = interval_of(one.resamples - other.resamples, one.value - other.value, n, level)
    low, high = no_shorter(own, entry, one, other, n, level)
    most = _length(entry) if entry.carried_by else np.inf  # a metric that says nothing of who carries it has no scale
    return float(np.clip(low, -most, most)), float(np.clip(high, -most, most))


def no_shorter(found: Bounds, entry: MetricEntry, one: Estimate, other: Estimate, n: int, level: float) -> Bounds:
    """Return an interval of a paired difference by any method, with what draws from those who were seen leave open.

    Where one of the two reaches the end of its scale in so many resamples that its own percentiles stop there, or rests
    on a class of which no miss was seen, what follows from the intervals of the two is added, unless the difference
    varies and excludes 0 without it. Of two means that is asked of the parts that are at the end in all resamples,
    since all others move the mean.

    Args:
        found: The interval; NaN stays.
        entry: The metric.
        one: The one, with its resamples.
        other: The other, of the same draws.
        n: Patients on whom the difference rests.
        level: What is left out.
    """
    low, high = found
    excludes = (low > 0 or high < 0) and high - low > NOTHING  # without a draw that differs there is no error to trust
    if entry.carried_by is None or np.isnan(low) or excludes:
        return found
    pairs = list(zip(one.parts, other.parts, strict=False))
    if pairs:
        asked = any(_at_end(entry, *pair) == 1 for pair in pairs)
    else:
        asked = _at_end(entry, one, other) > farther(level, n) / 2 or any((*one.unseen, *other.unseen))
    if not asked:
        return found
    by_own = (_by_parts if pairs else _by_own)(entry, one, other, level)
    return min(low, by_own[0]), max(high, by_own[1])


def _by_own(entry: MetricEntry, one: Estimate, other: Estimate, level: float) -> Bounds:
    """Return the interval of a paired difference that follows from the intervals of the two."""
    tie = _ties(np.stack([one.resamples, other.resamples]))[0, 1]
    own = of_estimate(entry, one, level), of_estimate(entry, other, level)
    return from_own((one.value, other.value), own, tie)


def _by_parts(entry: MetricEntry, one: Estimate, other: Estimate, level: float) -> Bounds:
    """Return the interval of a paired difference of two means that follows from those of their parts."""
    pairs, ends = list(zip(one.parts, other.parts, strict=True)), list[Bounds]()
    for a, b in pairs:
        n = min(a.carried.difference, b.carried.difference)
        moves = _at_end(entry, a, b) < 1
        ends.append(interval_of(a.resamples - b.resamples, a.value - b.value, n, level) if moves
                    else _by_own(entry, a, b, level))  # fmt: skip
    return of_mean([a.value - b.value for a, b in pairs], ends, one.stacked - other.stacked)


def _at_end(entry: MetricEntry, *estimates: Estimate) -> float:
    """Return in which share of the resamples values reach an end of their scale; of the one that does so most."""
    shares = [_share(entry, one.resamples[~np.isnan(one.resamples)]) for one in estimates]
    return max(float((np.minimum(one, 1 - one) < NOTHING).mean()) if len(one) else 0.0 for one in shares)


def from_own(estimates: tuple[float, float], own: tuple[Bounds, Bounds], tie: float = 0.0) -> Bounds:
    """Return the interval of a difference that follows from the intervals of the two values.

    Args:
        estimates: The two values.
        own: Their intervals.
        tie: Correlation of the two; 0 where other patients give them.

    >>> low, high = from_own((1.0, 1.0), ((0.9, 1.0), (0.8, 1.0)))
    >>> round(low, 3), round(high, 3)
    (-0.1, 0.2)
    """
    (a, b), ((low_a, high_a), (low_b, high_b)) = estimates, own
    down, up = ((a - low_a, high_b - b), (high_a - a, b - low_b))
    reach = [float(np.sqrt(max(x**2 + y**2 - 2 * tie * x * y, 0.0))) for x, y in (down, up)]
    return a - b - reach[0], a - b + reach[1]
