"""The readers table: ways of reading against one another and against stand-alone models, over readers and cases.

The figure of merit is the AUC of the positive class; of readers who only decide it is the mean of sensitivity and
specificity. Its covariance is DeLong's, clustered by patient, so that several images of a patient count as they should.
Two ways of reading are compared on the readers who read in both. What the numbers assume stands in `mrmc`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.evaluate import delong, mrmc
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.cohort import Cohort, assemble
from grandrounds.evaluate.compare import holm
from grandrounds.tables import Task

METRIC = "auc"
BOTH, CASES = "readers and cases", "cases"
_TOO_FEW = "one reader cannot speak for others"


class Arm(NamedTuple):
    """One way of reading, and the family of each reader in it."""

    name: str
    families: Mapping[str, str]


def readers_of(predictions: pl.DataFrame, task: Task, who: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    """Return the readers table of the test role; see `readers`."""
    return readers(assemble(predictions, task), who) if who else tables.empty(tables.READERS)


def readers(cohort: Cohort, who: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    """Return the readers table; empty without readers, or with more than two classes.

    Args:
        cohort: What is judged.
        who: Family of a human reader to the way of reading and the reader.
    """
    if not who or positive_of(cohort.task) is None:
        return tables.empty(tables.READERS)
    arms = tuple(_arms(cohort, who))
    models = [family for family in cohort.families if family not in who]
    rows = [row for arm in arms for row in _mean(cohort, arm)]
    rows += [row for one, other in itertools.combinations(arms, 2) for row in _two_arms(cohort, one, other)]
    rows += [row for arm in arms for model in models for row in _against(cohort, arm, model)]
    frame = pl.DataFrame(rows, schema=dict(tables.READERS.columns))
    return tables.check(_adjusted(_undefined(frame)), tables.READERS)


def _arms(cohort: Cohort, who: Mapping[str, tuple[str, str]]) -> Iterator[Arm]:
    for name in dict.fromkeys(who[family][0] for family in cohort.families if family in who):
        families = {who[one][1]: one for one in cohort.families if one in who and who[one][0] == name}
        yield Arm(name, dict(sorted(families.items())))


def _mean(cohort: Cohort, arm: Arm) -> Iterator[dict[str, object]]:
    families = list(arm.families.values())
    found = _areas(cohort, families)
    for holds_for in (BOTH, CASES):
        own = mrmc.mean_figure(found.auc, found.covariance, readers_random=holds_for == BOTH)
        yield _row(cohort, arm.name, None, holds_for, own, families)


def _two_arms(cohort: Cohort, one: Arm, other: Arm) -> Iterator[dict[str, object]]:
    shared = [reader for reader in one.families if reader in other.families]
    if not shared:
        return
    families = [arm.families[reader] for arm in (one, other) for reader in shared]
    found = _areas(cohort, families)
    figures = found.auc.reshape(2, len(shared))
    covariance = found.covariance.reshape(2, len(shared), 2, len(shared))
    parts = mrmc.components(figures, covariance)
    known = {
        "variance": parts.variance, "cov1": parts.cov1, "cov2": parts.cov2, "cov3": parts.cov3,
        "var_reader": parts.var_reader, "var_interaction": parts.var_interaction,
    }  # fmt: skip
    for holds_for in (BOTH, CASES):
        own = mrmc.difference(figures, covariance, readers_random=holds_for == BOTH)
        yield _row(cohort, one.name, other.name, holds_for, own, families[: len(shared)]) | known


def _against(cohort: Cohort, arm: Arm, model: str) -> Iterator[dict[str, object]]:
    families = list(arm.families.values())
    found = _areas(cohort, [*families, model])
    for holds_for in (BOTH, CASES):
        own = mrmc.readers_minus_model(found.auc, found.covariance, readers_random=holds_for == BOTH)
        yield _row(cohort, arm.name, model, holds_for, own, families)


def _areas(cohort: Cohort, families: Sequence[str]) -> delong.Areas:
    shared = frozenset.intersection(*(cohort.runs(family) for family in families))
    positive = cohort.task.classes.index(str(positive_of(cohort.task)))
    return delong.pooled(cohort.restricted(families, shared), families, positive)


def _row(
    cohort: Cohort, arm: str, against: str | None, holds_for: str, own: mrmc.Inference, families: Sequence[str]
) -> dict[str, object]:
    groups = cohort.of(families[0])
    return {
        "task": cohort.task.name, "metric": METRIC, "arm": arm, "against": against, "holds_for": holds_for,
        "estimate": own.estimate, "low": own.low, "high": own.high, "error": own.error, "df": own.df, "p": own.p,
        "n_readers": len(families), "n_patients": len(np.unique(np.concatenate([one.patient for one in groups]))),
        "n_samples": len({name for one in groups for name in one.sample}),
        "note": _TOO_FEW if holds_for == BOTH and len(families) < 2 else None,
    }  # fmt: skip


def _undefined(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with nulls where a number is none; a mean's p against 0 says nothing."""
    numbers = [name for name, dtype in tables.READERS.columns.items() if dtype == pl.Float64()]
    frame = frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in numbers)
    return frame.with_columns(p=pl.when(pl.col("against").is_not_null()).then("p"))


def _adjusted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with p adjusted for the number of differences that hold for the same population."""
    adjusted: list[float | None] = [None] * frame.height
    for holds_for in (BOTH, CASES):
        tested = frame.with_row_index("at").filter(pl.col("p").is_not_null(), pl.col("holds_for") == holds_for)
        for at, p in zip(tested["at"], holm(tested["p"].to_list()), strict=True):
            adjusted[at] = p
    return frame.with_columns(p_adjusted=pl.Series(adjusted, dtype=pl.Float64))
