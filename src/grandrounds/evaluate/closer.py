"""A closer look at what was judged: what would be decided, and whom a family reads less well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from grandrounds import tables
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.decide import decide
from grandrounds.evaluate.setting import Recalibration
from grandrounds.evaluate.slices import slices
from grandrounds.evaluate.subgroups import subgroups
from grandrounds.tables import Task, Unit


@dataclass(frozen=True, slots=True)
class Closer:
    """What a closer look shows.

    Args:
        decisions: Table `decisions`.
        scores: Rows for the table `scores`, one or more for each slice of the data.
        comparisons: Rows for the table `comparisons`, each slice against the rest.
        notes: What a reader must know.
    """

    decisions: pl.DataFrame
    scores: pl.DataFrame
    comparisons: pl.DataFrame
    notes: tuple[str, ...]


def look_closer(
    predictions: pl.DataFrame,
    facts: pl.DataFrame,
    task: Task,
    *,
    unit: Unit = "sample",
    primary: str,
    margin: float,
    aims: Aims,
    sliced_by: Sequence[str] = (),
    known: Mapping[str, Recalibration] = MappingProxyType({}),
    seed: int = 0,
    patient_known: bool = True,
) -> Closer:
    """Return decisions and subgroups of every family.

    Args:
        predictions: Table `predictions` of families that state probabilities, or what `levels.lift` made of it.
        facts: What is known of each sample: the table `samples`, or columns that came with predictions. Of a case or a
            patient it is what is known of the first sample.
        task: What was to be told.
        unit: What one row of the predictions is.
        primary: Metric by which slices are compared.
        margin: Differences within this much count as equal.
        aims: What is to be decided.
        sliced_by: Columns to slice by, beside those that are recognised.
        known: Families whose recalibrations were made before, of these very rows and with this seed.
        seed: Of all draws.
        patient_known: False where every sample stands for a patient of its own because nobody knows better.

    Raises:
        BadSpec: There is no column of that name to slice by.
    """
    cohort = assemble(predictions, task, unit=unit)
    tested = {name for group in cohort.groups for name in group.sample}
    facts = facts.with_columns(tables.patient_keys(facts["patient"])).with_columns(sample=pl.col(unit))
    parts = slices(facts.filter(pl.col("sample").is_in(tested)).unique("sample", maintain_order=True), sliced_by)
    seen = subgroups(cohort, parts, primary_for(task, primary), margin, seed=seed, patient_known=patient_known)
    decided = decide(predictions, task, aims, known=known, seed=seed, patient_known=patient_known)
    return Closer(decided.decisions, seen.scores, seen.comparisons, decided.notes)


def nothing() -> Closer:
    """Return a look at families that state no probabilities."""
    return Closer(tables.empty(tables.DECISIONS), tables.empty(tables.SCORES), tables.empty(tables.COMPARISONS), ())
