"""The external table: what a family that was trained here is worth on data from elsewhere.

Each metric stands beside its value on the test role at home, both of what the study compared (samples, cases or
patients) and as the mean over the trained models, with the difference elsewhere minus home. The patients are others, so
the two are resampled apart. Bounds of the difference follow from those of the two values where these lie between 0 and
1, and are percentiles of other metrics; of calibration slope and intercept they come from the two sandwich errors. What
is different about the patients stands below: shares of the classes and of every slice that both sides know.

Assumes: patients are independent of one another and in one of the two sets only; the fitted models are given.

Reference: Altman & Royston, Statistics in Medicine 19:453 (2000); Debray et al., Journal of Clinical Epidemiology
68:279 (2015), for reading performance beside the mix of patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate.bootstrap import Column, Replicates, interval, resample
from grandrounds.evaluate.bounds import Bounds, bounds, from_own
from grandrounds.evaluate.called import Threshold, called
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.catalogue import METRICS, MetricEntry, positive_of
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.sandwich import sandwich
from grandrounds.evaluate.slices import slices

RESAMPLES = 2000
_BESIDE = ("balanced_accuracy", "recall", "specificity", "brier", "log_loss", "ece")
_REFITTED = ("calibration_slope", "calibration_intercept")
_Row = dict[str, Any]


class Side(NamedTuple):
    """One of the two sets.

    Args:
        cohort: What was predicted.
        facts: One row a judged unit with what is known of it; the unit's name stands in `sample`.
    """

    cohort: Cohort
    facts: pl.DataFrame


def external(
    name: str, home: Side | None, away: Side, primary: MetricEntry,
    *, thresholds: Sequence[Threshold] = (), seed: int = 0, resamples: int = RESAMPLES,
) -> pl.DataFrame:  # fmt: skip
    """Return the external table of one set.

    Args:
        name: What the other data are called.
        home: The test role of the study; None where only the model is at hand.
        away: The other data.
        primary: The metric that was declared; it stands first.
        thresholds: Of what ships, the last family of the other data.
        seed: Of the draws.
        resamples: How many.
    """
    rows = [
        *_performance(home, away, primary, seed, resamples), *_calls(away, thresholds, seed + 2, resamples),
        *_calibration(home, away), *_mix(home, away),
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=dict(tables.EXTERNAL.columns))
    frame = frame.with_columns(name=pl.lit(name), unit=pl.lit(away.cohort.unit))
    numbers = pl.col(pl.Float64)
    return tables.check(frame.with_columns(pl.when(numbers.is_finite()).then(numbers)), tables.EXTERNAL)


def _performance(home: Side | None, away: Side, primary: MetricEntry, seed: int, resamples: int) -> Iterator[_Row]:
    entries = tuple({one.name: one for one in (primary, *(METRICS.get(name) for name in _BESIDE))}.values())
    there = resample(away.cohort, resamples, seed, metrics=entries)
    here = resample(home.cohort, resamples, seed + 1, metrics=entries) if home else None  # other patients, other draws
    for place, family in enumerate(there.families):
        known = here.families.index(family) if here and family in here.families else None
        for at, column in enumerate(there.columns):
            if _shown(column, away.cohort):
                yield _sizes(away, family) | {
                    "family": family, "kind": "performance", "what": column.entry.name, "label": column.label,
                } | _compared(
                    _numbers(away, there, place, at),
                    _numbers(home, here, known, at) if home and here and known is not None else None,
                )  # fmt: skip


def _calls(away: Side, thresholds: Sequence[Threshold], seed: int, resamples: int) -> Iterator[_Row]:
    ships = away.cohort.families[-1]
    for row in called(away.cohort, ships, thresholds, seed, resamples):
        yield _sizes(away, ships) | {"kind": "threshold"} | row


def _shown(column: Column, cohort: Cohort) -> bool:
    """Return whether a column is reported: the overall values, and of recall and specificity those of interest."""
    positive = positive_of(cohort.task)
    if column.label is None:
        return True
    of_interest = ("recall", "specificity") if positive else ("recall",)
    return column.entry.name in of_interest and positive in (None, column.label)


class _Number(NamedTuple):
    """A value with its interval, its resamples, and its metric."""

    value: float
    own: Bounds
    resamples: NDArray[np.float64]
    entry: MetricEntry


def _numbers(side: Side, drawn: Replicates, place: int, at: int) -> _Number:
    value, column, values = float(drawn.estimate[place, at]), drawn.columns[at], drawn.values[place, at]
    carriers = Carriers.of(side.cohort, drawn.families[place])
    return _Number(value, bounds(drawn, place, at, carriers), values, column.entry)


def _compared(there: _Number, here: _Number | None) -> _Row:
    """Return both sides and their difference; other patients were drawn on each, so that nothing is paired."""
    row = _as_row("external", there)
    if here is None:
        return row
    difference = there.value - here.value
    if there.entry.by_percentiles:
        low, high = interval(there.resamples - here.resamples) if not np.isnan(difference) else (np.nan, np.nan)
    else:
        low, high = from_own((there.value, here.value), (there.own, here.own))
    return row | _as_row("home", here) | {"difference": difference, "low": low, "high": high}


def _as_row(name: str, one: _Number) -> _Row:
    return {name: one.value, f"{name}_low": one.own[0], f"{name}_high": one.own[1]}


def _calibration(home: Side | None, away: Side) -> Iterator[_Row]:
    task = away.cohort.task
    positive = positive_of(task)
    labels = [at for at, name in enumerate(task.classes) if positive in (None, name)]
    for family in away.cohort.families:
        for name in _REFITTED:
            there = sandwich(away.cohort, family, METRICS.get(name))
            at_home = home is not None and family in home.cohort.families
            here = sandwich(home.cohort, family, METRICS.get(name)) if home is not None and at_home else None
            for at in labels:
                row = _sizes(away, family) | {
                    "family": family, "kind": "calibration", "what": name, "label": task.classes[at],
                } | _around("external", there.estimate[at], there.half_width[at])  # fmt: skip
                if here is not None:
                    half = float(np.hypot(there.half_width[at], here.half_width[at]))
                    difference = there.estimate[at] - here.estimate[at]
                    row |= _around("home", here.estimate[at], here.half_width[at])
                    row |= {"difference": difference, "low": difference - half, "high": difference + half}
                yield row


def _around(side: str, estimate: float, half: float) -> _Row:
    return {side: estimate, f"{side}_low": estimate - half, f"{side}_high": estimate + half}


def _sizes(side: Side, family: str) -> _Row:
    groups = side.cohort.of(family)
    return {
        "n_patients": len(np.unique(np.concatenate([group.patient for group in groups]))),
        "n_samples": len({name for group in groups for name in group.sample}),
    }


def _mix(home: Side | None, away: Side) -> Iterator[_Row]:
    """Yield the shares of classes and slices among the judged units of both sides."""
    there = _labels(away.cohort)
    here = None if home is None else _labels(home.cohort)
    for label in away.cohort.task.classes:
        yield _share("class", label, there == label, None if here is None else here == label)
    if home is None:
        return
    plain = [{name for name, dtype in side.facts.schema.items() if not dtype.is_nested()} for side in (home, away)]
    common = [name for name in home.facts.columns if name in plain[0] & plain[1] and name != "sample"]
    both = pl.concat(
        [
            side.facts.select(pl.col("sample", *common).cast(pl.String)).with_columns(sample=mark + pl.col("sample"))
            for mark, side in ((pl.lit("home "), home), (pl.lit("away "), away))
        ]
    )
    for one in slices(both):
        inside = both["sample"].is_in(list(one.samples))
        at_home = both["sample"].str.starts_with("home ")
        yield _share("slice", one.name, inside.filter(~at_home), inside.filter(at_home))


def _labels(cohort: Cohort) -> pl.Series:
    """Return the class of each sample, however many models predicted it."""
    rows = pl.concat(pl.DataFrame({"sample": group.sample, "label": group.label}) for group in cohort.groups)
    at = rows.unique("sample", maintain_order=True)["label"]
    return at.replace_strict(range(len(cohort.task.classes)), cohort.task.classes, return_dtype=pl.String())


def _share(what: str, label: str, there: pl.Series, here: pl.Series | None) -> _Row:
    row: _Row = {"family": None, "kind": "mix", "what": what, "label": label, "external": there.mean(),
                 "n_samples": len(there)}  # fmt: skip
    if here is not None and len(here):
        row |= {"home": here.mean(), "difference": float(there.sum()) / len(there) - float(here.sum()) / len(here)}
    return row
