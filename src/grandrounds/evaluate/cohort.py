"""The rows that are judged, checked and grouped: one group for each family, repeat, fold and seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import Role, Task

_CELL = ("family", "repeat", "fold", "seed")


Run = tuple[int, int, int]  # repeat, fold, seed


@dataclass(frozen=True, slots=True)
class Group:
    """The predictions of one trial on one role.

    Args:
        family: Who predicted.
        repeat: Which of the repeated splits.
        fold: Which fold of it.
        seed: Which training seed.
        label: (N,) true class.
        probs: (N, K).
        patient: (N,) place in the cohort's patients.
        sample: (N,) names.
    """

    family: str
    repeat: int
    fold: int
    seed: int
    label: ClassIndex
    probs: Probs
    patient: ClassIndex
    sample: tuple[str, ...]

    @property
    def cell(self) -> tuple[int, int]:
        """Repeat and fold: which rows these are, whoever predicted them."""
        return self.repeat, self.fold

    @property
    def run(self) -> Run:
        """Repeat, fold and seed: one training."""
        return self.repeat, self.fold, self.seed


@dataclass(frozen=True, slots=True)
class Cohort:
    """Everything that is judged together.

    Args:
        task: What was to be told.
        patients: Everyone in the role; the bootstrap draws from all of them, for every family alike.
        groups: In the order in which the families first appear.
    """

    task: Task
    patients: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the families, in order."""
        return tuple(dict.fromkeys(group.family for group in self.groups))

    def of(self, family: str) -> tuple[Group, ...]:
        """Return the groups of one family."""
        return tuple(group for group in self.groups if group.family == family)

    def cells(self, family: str) -> frozenset[tuple[int, int]]:
        """Return the repeats and folds that a family predicted."""
        return frozenset(group.cell for group in self.of(family))

    def runs(self, family: str) -> frozenset[Run]:
        """Return the repeats, folds and seeds that a family predicted."""
        return frozenset(group.run for group in self.of(family))

    def restricted(self, families: Collection[str], runs: Collection[Run]) -> Cohort:
        """Return the cohort with some families and runs only; the patients stay, so that draws stay paired."""
        kept = tuple(group for group in self.groups if group.family in families and group.run in runs)
        return replace(self, groups=kept)


def assemble(predictions: pl.DataFrame, task: Task, role: Role = "test") -> Cohort:
    """Return the checked rows of one role.

    Raises:
        BadData: There are none, a probability or label cannot be, a sample stands twice in one trial, or two families
            predicted different samples of the same fold.
    """
    rows = _rows(predictions, task, role)
    patients = tuple(sorted(rows["patient"].unique().to_list()))
    groups = tuple(
        _group(part, task, patients) for part in rows.partition_by(_CELL, maintain_order=True, include_key=True)
    )
    families = list(dict.fromkeys(group.family for group in groups))
    groups = tuple(sorted(groups, key=lambda one: (families.index(one.family), *one.cell, one.seed)))
    _check_same_samples(groups)
    return Cohort(task, patients, groups)


def _rows(predictions: pl.DataFrame, task: Task, role: Role) -> pl.DataFrame:
    # The table's own key needs trials to be named; the check on `twice` below is stricter and does not.
    frame = tables.check(predictions, replace(tables.PREDICTIONS, key=()), where="table predictions")
    # Two spellings of a patient that the split keeps together are one patient here too.
    frame = frame.with_columns(pl.col("repeat", "fold", "seed").fill_null(0), tables.patient_keys(frame["patient"]))
    wanted = pl.col("role").fill_null("test") == role, pl.col("task").fill_null(task.name) == task.name
    frame = frame.filter(*wanted)
    if frame.is_empty():
        raise BadData(f"there is no prediction for the role {role!r} of the task {task.name!r}")
    if tables.classes_of(frame) != task.classes:
        missing = [f"{tables.PROB}{name}" for name in task.classes if f"{tables.PROB}{name}" not in frame.columns]
        if missing:
            raise BadData(f"the predictions have no column {', '.join(missing)}")
        frame = frame.select(*tables.PREDICTIONS.columns, *(f"{tables.PROB}{name}" for name in task.classes))
    strange = frame.filter(~pl.col("label").is_in(task.classes))
    if strange.height:
        raise BadData(
            f"{strange.height} labels are none of the task's classes", where=f"sample {strange['sample'][0]}",
            remedy=f"the classes are: {', '.join(task.classes)}",
        )  # fmt: skip
    # Twice in one trial, or in two trials that claim the same place: either would count a patient double.
    twice = frame.filter(pl.struct(*_CELL, "sample").is_duplicated())
    if twice.height:
        raise BadData(
            "a sample is predicted twice for the same family, repeat, fold and seed",
            where=f"sample {twice['sample'][0]}", remedy="give every trial its own fold or seed, or remove one row",
        )  # fmt: skip
    return frame


def _group(rows: pl.DataFrame, task: Task, patients: tuple[str, ...]) -> Group:
    rows = rows.sort("sample")  # the order of the rows must not reach the result
    family, repeat, fold, seed = rows.select(_CELL).row(0)
    probs = tables.probs_of(rows)
    bad = ~(np.isfinite(probs).all(axis=1) & (probs >= 0).all(axis=1) & (np.abs(probs.sum(axis=1) - 1) < 1e-3))
    if bad.any():
        raise BadData(
            f"the probabilities of {bad.sum()} samples are not numbers from 0 to 1 that sum to 1",
            where=f"family {family}, sample {rows['sample'][int(bad.argmax())]}",
        )
    place = pl.Series(rows["patient"]).replace_strict(patients, range(len(patients)), return_dtype=pl.Int64)
    label = rows["label"].replace_strict(task.classes, range(len(task.classes)), return_dtype=pl.Int64)
    return Group(family, repeat, fold, seed, label.to_numpy(), probs, place.to_numpy(), tuple(rows["sample"].to_list()))


def _check_same_samples(groups: tuple[Group, ...]) -> None:
    first: dict[tuple[int, int], Group] = {}
    for group in groups:
        other = first.setdefault(group.cell, group)
        if group.sample == other.sample and np.array_equal(group.label, other.label):
            continue
        differing = sorted(set(group.sample) ^ set(other.sample)) or ["the labels of the same samples"]
        raise BadData(
            f"{group.family} and {other.family} were judged on different samples or labels, {len(differing)} in all",
            where=f"repeat {group.repeat}, fold {group.fold}: {differing[0]}",
            remedy="predict the same samples with every family and seed",
        )
