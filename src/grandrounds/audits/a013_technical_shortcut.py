"""A013: do technical facts of an image tell its class as well as the best family does?

Site, size, grey range and the like are no finding. For each fold, the share of every class at each value of such a
column (numbers in tenths) is counted among the training cases and read off for the test cases; the area under the ROC
curve, mean of one-vs-rest over classes, is set against that of the best family.

Assumes: one case counts once, or one patient where patients were compared. The standard error is that of Hanley &
McNeil with patients for cases, so that many cases of one patient do not look like evidence.

Reference: Hanley & McNeil, Radiology 143:29 (1982); Zech et al., PLoS Medicine 15:e1002683 (2018) on hospitals as
shortcuts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds.audits.areas import areas
from grandrounds.audits.placing import FOLD, by_unit, placed
from grandrounds.audits.protocol import AuditTables, Finding, not_applicable
from grandrounds.audits.standing import standing
from grandrounds.evaluate.delong import hanley_mcneil

_TEXT = ("site", "modality", "body_part", "side", "encoding")
_NUMBERS = ("height_px", "width_px", "depth_px", "low", "high")
_TENTHS, _LEAST = 10, 10  # groups of a number; patients on either side of a class
_SURE = 1.96


class Told(NamedTuple):
    """What one column tells: mean area over classes and folds, and its standard error."""

    column: str
    area: float
    error: float


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a technical column does as well as the best contender, a tip where it tells a lot."""
    stand, cases = standing(tables), placed(tables)
    if stand is None or stand.metric.name != "auc" or not stand.contenders:
        return not_applicable("no family other than a floor has a score that is the area under the ROC curve")
    if tables.samples is None or cases is None or not {"train", "test"} <= set(cases["role"]):
        return not_applicable("there are no samples in the roles train and test")
    facts = _facts(tables.samples, cases)
    facts = facts if tables.task is None else by_unit(facts, stand.unit, tables.task)
    told = sorted(_told(facts), key=lambda one: -one.area)
    best = stand.contenders[0]
    height = stand.estimates[best]
    if not told:
        return Finding("passed", "No technical column has two values in training, or there are too few patients.")
    top = told[0]
    words = f"`{top.column}` reaches {top.area:.3f} (standard error {top.error:.3f}), `{best}` {height:.3f}"
    if top.area - _SURE * top.error <= 0.5:
        return Finding("passed", f"No technical column is shown to tell the class: {words}.")
    rows = tuple(f"{one.column}: {one.area:.3f}, standard error {one.error:.3f}" for one in told)
    if top.area + _SURE * top.error < height:
        return Finding("tip", f"A technical column tells something of the class: {words}.", rows)
    return Finding(
        "finding",
        f"A technical column tells the class about as well as the best family: {words}. The family may read it off the "
        "images; test it on images that share its value.",
        rows,
    )


def _facts(samples: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    """Return one row a case and fold with its technical columns, those of its first sample."""
    columns = [name for name in (*_TEXT, *_NUMBERS) if name in samples.columns and samples[name].n_unique() > 1]
    first = samples.select("case", *columns).unique("case", keep="first", maintain_order=True)
    return cases.join(first, on="case", how="left", maintain_order="left")


def _told(rows: pl.DataFrame) -> Iterator[Told]:
    """Yield what each column tells of the class."""
    for column in (name for name in (*_TEXT, *_NUMBERS) if name in rows.columns):
        folds = [_in_fold(part, column) for part in rows.partition_by(*FOLD)]
        known = [one for one in folds if one is not None]
        if known:
            found, errors = zip(*known, strict=True)
            yield Told(column, float(np.mean(found)), float(np.sqrt(np.mean(np.square(errors)) / len(known))))


def _in_fold(rows: pl.DataFrame, column: str) -> tuple[float, float] | None:
    """Return mean area over classes in one fold, and its standard error; None where there is nothing to tell by."""
    grouped = rows.with_columns(level=_levels(rows[column], rows["role"] == "train"))
    train, test = grouped.filter(role="train"), grouped.filter(role="test")
    if train["level"].n_unique() < 2:
        return None
    found, variances = [], []
    for label in sorted(set(train["label"])):
        shares = train.group_by("level").agg(share=(pl.col("label") == label).mean())
        read = test.join(shares, on="level", how="left", maintain_order="left", nulls_equal=True)
        score = read["share"].fill_null((train["label"] == label).mean()).to_numpy()
        positive = (read["label"] == label).to_numpy()
        sides = [test.filter(mask)["patient"].fill_null("").n_unique() for mask in (positive, ~positive)]
        if min(sides) < _LEAST:
            continue
        area = float(areas(score, positive[None])[0])
        found.append(area)
        variances.append(hanley_mcneil(area, *sides))
    if not found:
        return None
    return float(np.mean(found)), math.sqrt(float(np.mean(variances)))


def _levels(values: pl.Series, in_train: pl.Series) -> pl.Series:
    """Return the groups of a column: its values, or tenths of its training values."""
    if not values.dtype.is_numeric():
        return values
    numbers = values.filter(in_train).drop_nulls().to_numpy()
    edges = np.unique(np.quantile(numbers, np.arange(1, _TENTHS) / _TENTHS)) if len(numbers) else np.empty(0)
    places = np.searchsorted(edges, values.cast(pl.Float64()).fill_null(math.nan).to_numpy())
    return pl.Series("level", places)
