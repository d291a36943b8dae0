"""Whether some patients are read less well: every slice scored as the whole is, and set against the rest.

A slice and the rest of the samples are scored on the same draws of patients, so that the interval of their difference
is paired where a patient has samples in both. Whether they differ is tested by drawing lots who belongs to the slice
(`membership`). A slice of fewer than ten patients is named and not estimated: of so few neither the number nor the
privacy holds. Holm's correction is over all slices of one family; a slice and its complement are one test.

Assumes: patients are independent of one another; the fitted models are given. That no difference is shown does not say
that there is none: look at the interval.

Reference: Holm, Scandinavian Journal of Statistics 6:65 (1979); Oakden-Rayner et al., ACM CHIL (2020) on what averages
hide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate.bootstrap import Replicates, resample
from grandrounds.evaluate.bounds import of_paired
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import METRICS, MetricEntry
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.compare import holm, holm_levels, judged
from grandrounds.evaluate.estimates import Estimate
from grandrounds.evaluate.membership import METHOD, p_of_difference, roll
from grandrounds.evaluate.score import score
from grandrounds.evaluate.slices import Slice
from grandrounds.wording import with_sign

RESAMPLES = 2000
FEWEST = 10  # patients in a slice, and in the rest
PERMUTATIONS = 1000
_BESIDE = ("balanced_accuracy", "recall", "specificity")


@dataclass(frozen=True, slots=True)
class Subgroups:
    """What slices show: rows for the tables `scores` and `comparisons`, the latter with the slice's name."""

    scores: pl.DataFrame
    comparisons: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Test:
    """One slice of one family against the rest."""

    family: str
    slice: Slice
    inside: Estimate
    outside: Estimate
    p: float

    @property
    def estimate(self) -> float:
        """Slice minus rest."""
        return self.inside.value - self.outside.value


def subgroups(
    cohort: Cohort,
    parts: Sequence[Slice],
    primary: MetricEntry,
    margin: float,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    patient_known: bool = True,
) -> Subgroups:
    """Return every slice of every family, scored and compared with the rest.

    Args:
        cohort: What was judged.
        parts: The slices.
        primary: The metric of the comparison.
        margin: Differences within this much count as equal.
        seed: Of the draws.
        resamples: How many.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.
    """
    metrics = tuple({entry.name: entry for entry in (primary, *(METRICS.get(name) for name in _BESIDE))}.values())
    scores: list[pl.DataFrame] = []
    tests: list[_Test] = []
    for part in parts:
        inside, outside = _cut(cohort, part.samples, kept=True), _cut(cohort, part.samples, kept=False)
        if min(_n_patients(inside), _n_patients(outside)) < FEWEST:
            scores.append(_too_few(cohort, inside, part, primary))
            continue
        drawn = resample(inside, resamples, seed, metrics=metrics)
        rest = resample(outside, resamples, seed, metrics=(primary,))
        words = "patient-clustered bootstrap" if patient_known else "bootstrap, assumes independent images"
        scores.append(score(inside, drawn, method=words).with_columns(slice=pl.lit(part.name)))
        tests += _tests(cohort, part, (inside, outside), (drawn, rest), primary, seed)
    rows = [row for family in cohort.families for row in _compared(cohort, tests, family, primary, margin)]
    schema = dict(tables.COMPARISONS.columns)
    comparisons = tables.check(
        pl.DataFrame(rows, schema=schema).with_columns(pl.col(pl.Float64).fill_nan(None)), tables.COMPARISONS
    )
    frame = pl.concat(scores) if scores else tables.empty(tables.SCORES)
    if not patient_known:
        frame = frame.with_columns(n_patients=pl.lit(None, dtype=pl.Int64()))
    return Subgroups(tables.check(_noted(frame, comparisons, primary), tables.SCORES), comparisons)


def _cut(cohort: Cohort, samples: frozenset[str], *, kept: bool) -> Cohort:
    """Return the cohort without some rows; the patients stay, so that draws stay paired."""
    groups = []
    for group in cohort.groups:
        rows = np.array([(name in samples) == kept for name in group.sample], np.bool_)
        if rows.any():
            groups.append(_rows(group, rows))
    return replace(cohort, groups=tuple(groups))


def _rows(group: Group, rows: NDArray[np.bool_]) -> Group:
    names = tuple(name for name, keep in zip(group.sample, rows, strict=True) if keep)
    return replace(group, label=group.label[rows], probs=group.probs[rows], patient=group.patient[rows], sample=names)


def _n_patients(cohort: Cohort) -> int:
    return len({one for group in cohort.groups for one in group.patient.tolist()})


def _too_few(cohort: Cohort, inside: Cohort, part: Slice, primary: MetricEntry) -> pl.DataFrame:
    n = _n_patients(inside)
    which = f"{n} patients" if n < FEWEST else "the rest has too few patients"
    rows = [
        {
            "family": family, "task": cohort.task.name, "metric": primary.name, "unit": cohort.unit, "slice": part.name,
            "n_patients": n, "n_samples": len(part.samples),
            "note": f"{which}: fewer than {FEWEST} are not estimated",
        }
        for family in cohort.families
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(tables.SCORES.columns))


def _tests(
    cohort: Cohort,
    part: Slice,
    sides: tuple[Cohort, Cohort],
    drawn: tuple[Replicates, Replicates],
    primary: MetricEntry,
    seed: int,
) -> Iterator[_Test]:
    who = roll(cohort, part.samples)
    for family in drawn[0].families:
        if family in drawn[1].families:
            inside, outside = (_side(*each, family, primary) for each in zip(sides, drawn, strict=True))
            p = p_of_difference(cohort, who, family, primary, PERMUTATIONS, seed)
            yield _Test(family, part, inside, outside, p)


def _side(cohort: Cohort, drawn: Replicates, family: str, primary: MetricEntry) -> Estimate:
    return Estimate.of(drawn, drawn.families.index(family), drawn.at(primary.name), Carriers.of(cohort, family))


def _compared(
    cohort: Cohort, tests: Sequence[_Test], family: str, primary: MetricEntry, margin: float
) -> Iterator[dict[str, object]]:
    own = [test for test in tests if test.family == family]
    everybody = frozenset(name for group in cohort.of(family) for name in group.sample)
    # A slice and its complement ask the same question, which is corrected for once.
    asked = [frozenset((one.slice.samples & everybody, everybody - one.slice.samples)) for one in own]
    place = {question: at for at, question in enumerate(dict.fromkeys(asked))}
    raw = {place[question]: one.p for one, question in zip(own, asked, strict=True)}
    adjusted, levels = holm([*raw.values()]), holm_levels([*raw.values()])
    for one, question in zip(own, asked, strict=True):
        p, level = adjusted[place[question]], levels[place[question]]
        low, high = np.nan, np.nan
        if not np.isnan(one.estimate):
            n = 2 * min(one.inside.carried.value, one.outside.carried.value)
            low, high = of_paired(primary, one.inside, one.outside, n, level)
        yield {
            "family_a": family, "family_b": family, "task": cohort.task.name, "metric": primary.name,
            "unit": cohort.unit, "difference": one.estimate, "low": low, "high": high, "p_adjusted": p,
            "verdict": judged(low, high, p, margin, 1 if primary.better == "higher" else -1),
            "method": METHOD, "slice": one.slice.name,
        }  # fmt: skip


def _noted(scores: pl.DataFrame, comparisons: pl.DataFrame, primary: MetricEntry) -> pl.DataFrame:
    """Return the scores with what the comparison says, on the primary metric's own rows."""
    said = {
        (row["family_a"], row["slice"]): _words(row, comparisons.filter(family_a=row["family_a"]).height)
        for row in comparisons.iter_rows(named=True)
    }
    notes = [
        ". ".join(part for part in (said.get((family, name)) if metric == primary.name and not label else None, note)
                  if part) or None
        for family, name, metric, label, note in scores.select(
            "family", "slice", "metric", "label", "note"
        ).iter_rows()
    ]  # fmt: skip
    return scores.with_columns(pl.Series("note", notes, dtype=pl.String()))


def _words(row: dict[str, Any], n_tests: int) -> str | None:
    if row["difference"] is None:
        return None
    words = f"{with_sign(row['difference'])} to the rest"
    if row["low"] is not None:
        words += f" ({with_sign(row['low'])} to {with_sign(row['high'])})"
    shown = row["verdict"] in ("better", "worse")
    return f"{words}, {'shown' if shown else 'not shown'} after correction for {n_tests} slices"
