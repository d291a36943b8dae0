"""Which family ships: chosen on valid, where among equivalent or undecided the cheapest calibrated one ships.

The same rule says whom test alone would have named: only where that is another family do valid and test disagree.

Tied are the best on valid and those that are equivalent to it or undecided there, unless their estimate is more than
the margin below: where valid is small everything is undecided, and a cheap family that reads much worse must not ship
for that. Of these the ones that valid shows to be badly calibrated are left out, as long as another remains; they
are looked at as they would ship, with their recalibration (`gate`). The cheapest of the rest ships; where costs are
equal or unknown the better estimate does.

A family is badly calibrated where the 95 % interval of a calibration slope lies wholly outside 0.8 to 1.25, or that of
a calibration intercept wholly outside ±ln 1.25: stated odds that are off by more than a quarter, and not by chance. A
slope of 0.8 is what Riley et al. call much shrinkage. Where neither can be estimated nothing is held against a family.

Reference: Van Calster et al., Journal of Clinical Epidemiology 74:167 (2016) for slope and intercept; Riley et al.,
Statistics in Medicine 38:1276 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from grandrounds import tables
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.contrast import decisive
from grandrounds.tables import Task

TIES = ("equivalent", "undecided")
_OFF = 1.25  # odds, or their logarithm, that are off by more than this factor
_ALLOWED = {
    "calibration_slope": (1 / _OFF, _OFF),
    "calibration_intercept": (-math.log(_OFF), math.log(_OFF)),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The family that the rule names on one role.

    Args:
        family: Which.
        best: The best estimate.
        tied: Among whom cost and calibration decided.
        beyond: Cheaper ones, not shown to be worse, whose estimate is worse by more than the margin.
        miscalibrated: Those of the tied that were left out for it.
        unknown: Those of the tied whose calibration could not be estimated.
        all_miscalibrated: Whether no tied family is calibrated, so that calibration could not decide.
        cost: "decides", "equal" or "unknown".
    """

    family: str
    best: str
    tied: tuple[str, ...]
    beyond: tuple[str, ...]
    miscalibrated: tuple[str, ...]
    unknown: tuple[str, ...]
    all_miscalibrated: bool
    cost: str

    @property
    def usable(self) -> tuple[str, ...]:
        """The tied that calibration leaves: among them cost decided."""
        return tuple(one for one in self.tied if one not in self.miscalibrated)


def choice(
    estimates: Mapping[str, float],
    comparisons: pl.DataFrame | None,
    cost_s: Mapping[str, float],
    calibrated: Mapping[str, bool],
    entry: MetricEntry,
    margin: float,
) -> Choice | None:
    """Return what the rule names; None without a candidate.

    Args:
        estimates: Primary metric of the candidates.
        comparisons: Table `comparisons` of the same role; pairs that it lacks are undecided, all where it is None.
        cost_s: Seconds of a trial; families may be missing.
        calibrated: Families whose calibration on valid is known.
        entry: The primary metric.
        margin: Differences within this much count as equal.
    """
    if not estimates:
        return None
    best, pairs = best_of(estimates, entry), tables.empty(tables.COMPARISONS) if comparisons is None else comparisons
    alike = tuple(one for one in estimates if one == best or against(pairs, best, one) in TIES)
    tied = tuple(one for one in alike if abs(estimates[one] - estimates[best]) <= margin)
    good = tuple(one for one in tied if calibrated.get(one, True))
    usable = good or tied
    sign = -1 if entry.better == "higher" else 1
    family = min(usable, key=lambda one: (cost_s.get(one, math.inf), sign * estimates[one]))
    costs = [cost_s.get(one, math.inf) for one in usable]
    same = costs.count(min(costs)) > 1
    word = "unknown" if same and math.isinf(min(costs)) else "equal" if same else "decides"
    cost = cost_s.get(family, -math.inf)
    return Choice(
        family, best, tied,
        tuple(one for one in alike if one not in tied and cost_s.get(one, math.inf) < cost),
        tuple(one for one in tied if one not in usable),
        tuple(one for one in tied if one not in calibrated),
        not good, word,
    )  # fmt: skip


def best_of(estimates: Mapping[str, float], entry: MetricEntry) -> str:
    """Return the family with the best estimate, the first of equals."""
    sign = 1 if entry.better == "higher" else -1
    return max(estimates, key=lambda family: sign * estimates[family])


def against(comparisons: pl.DataFrame, a: str, b: str) -> str:
    """Return the verdict of a against b, whichever way round the table has the pair; undecided where it has not."""
    for one, other, turned in ((a, b, False), (b, a, True)):
        rows = decisive(comparisons).filter(pl.col("family_a") == one, pl.col("family_b") == other)
        if rows.height:
            word = str(rows["verdict"][0])
            return {"better": "worse", "worse": "better"}.get(word, word) if turned else word
    return "undecided"


def calibration(valid_scores: pl.DataFrame, task: Task) -> dict[str, bool]:
    """Return for each family whether valid leaves it calibrated; families that have no interval are missing.

    Args:
        valid_scores: Table `scores` of the role valid, at one unit.
        task: What was to be told; of a binary one only the positive class counts.
    """
    classes: Collection[str] = [positive_of(task) or ""] if task.kind == "binary" else task.classes
    found: dict[str, bool] = {}
    for metric, (least, most) in _ALLOWED.items():
        rows = valid_scores.filter(pl.col("metric") == metric, pl.col("label").is_in(classes)).drop_nulls(
            ["low", "high"]
        )
        for family, low, high in rows.select("family", "low", "high").iter_rows():
            found[family] = found.get(family, True) and low <= most and high >= least
    return found
