"""The rows that are judged, checked and grouped: one group for each family, repeat, fold and seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import Role, Task, Unit

CELL = ("family", "repeat", "fold", "seed")


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
        unit: What one row of a group is.
    """

    task: Task
    patients: tuple[str, ...]
    groups: tuple[Group, ...]
    unit: Unit = "sample"

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

    def is_whole(self, family: str) -> bool:
        """Return whether a family finished as many folds and seeds as any other, which are then the same."""
        return self.runs(family) == max((self.runs(one) for one in self.families), key=len)

    def restricted(self, families: Collection[str], runs: Collection[Run]) -> Cohort:
        """Return the cohort with some families and runs only; the patients stay, so that draws stay paired."""
        kept = tuple(group for group in self.groups if group.family in families and group.run in runs)
        return replace(self, groups=kept)


def assemble(predictions: pl.DataFrame, task: Task, role: Role = "test", unit: Unit = "sample") -> Cohort:
    """Return the checked rows of one role.

    Args:
        predictions: Table `predictions`, or what `levels.lift` made of it.
        task: What was to be told.
        role: Which rows.
        unit: What one row is.

    Raises:
        BadData: There are none, a probability or label cannot be, a sample stands twice in one trial, or two families
            predicted different samples of the same fold.
    """
    rows = checked(predictions, task, (role,))
    if rows.is_empty():
        raise BadData(
            f"there is no prediction for the role {role!r} of the task {task.name!r}",
            remedy="give predictions of that role",
        )
    patients = tuple(sorted(rows["patient"].unique().to_list()))
    groups = tuple(
        _group(part, task, patients) for part in rows.partition_by(CELL, maintain_order=True, include_key=True)
    )
    families = list(dict.fromkeys(group.family for group in groups))
    groups = tuple(sorted(groups, key=lambda one: (families.index(one.family), *one.cell, one.seed)))
    _check_same_samples(groups)
    return Cohort(task, patients, groups, unit)


def among(cohort: Cohort, patients: tuple[str, ...]) -> Cohort:
    """Return the cohort among more patients, so that draws of all of these are draws of its own."""
    where = {name: place for place, name in enumerate(patients)}
    place = np.array([where[name] for name in cohort.patients], dtype=np.int64)
    groups = tuple(replace(group, patient=place[group.patient]) for group in cohort.groups)
    return replace(cohort, patients=patients, groups=groups)


def checked(predictions: pl.DataFrame, task: Task, roles: Collection[Role]) -> pl.DataFrame:
    """Return the rows of a task in some roles, columns filled where they may be left out, patients by their keys.

    Raises:
        BadData: A label is none of the task's, a probability cannot be, or a sample stands twice in one trial.
    """
    # The table's own key needs trials to be named; the check on `twice` below is stricter and does not.
    frame = tables.check(predictions, replace(tables.PREDICTIONS, key=()), where="table predictions")
    # Two spellings of a patient that the split keeps together are one patient here too.
    frame = frame.with_columns(
        pl.col("repeat", "fold", "seed").fill_null(0), pl.col("role").fill_null("test"),
        pl.col("case").fill_null(pl.col("sample")), tables.patient_keys(frame["patient"]),
    ).filter(pl.col("task").fill_null(task.name) == task.name, pl.col("role").is_in(roles))  # fmt: skip
    probs = [f"{tables.PROB}{name}" for name in task.classes]
    missing = [name for name in probs if name not in frame.columns]
    if missing:
        raise BadData(
            f"the predictions have no column {', '.join(missing)}",
            remedy=f"its columns: {', '.join(predictions.columns)}",
        )
    frame = frame.select(*(name for name in frame.columns if not name.startswith(tables.PROB)), *probs)
    strange = frame.filter(~pl.col("label").is_in(task.classes))
    if strange.height:
        raise BadData(
            f"{strange.height} labels are none of the task's classes", where=f"sample {strange['sample'][0]}",
            remedy=f"the classes are: {', '.join(task.classes)}",
        )  # fmt: skip
    _check_probabilities(frame)
    # Twice in one trial, or in two trials that claim the same place: either would count a patient double.
    twice = frame.filter(pl.struct(*CELL, "role", "sample").is_duplicated())
    if twice.height:
        raise BadData(
            "a sample is predicted twice for the same family, repeat, fold and seed",
            where=f"sample {twice['sample'][0]}", remedy="give every trial its own fold or seed, or remove one row",
        )  # fmt: skip
    return frame


def _check_probabilities(frame: pl.DataFrame) -> None:
    probs = tables.probs_of(frame)
    bad = ~(np.isfinite(probs).all(axis=1) & (probs >= 0).all(axis=1) & (np.abs(probs.sum(axis=1) - 1) < 1e-3))
    if bad.any():
        family, sample = frame.select("family", "sample").row(int(bad.argmax()))
        raise BadData(
            f"the probabilities of {bad.sum()} samples are not numbers from 0 to 1 that sum to 1",
            where=f"family {family}, sample {sample}",
            remedy="give probabilities, and one for each class",
        )


def _group(rows: pl.DataFrame, task: Task, patients: tuple[str, ...]) -> Group:
    rows = rows.sort("sample")  # the order of the rows must not reach the result
    family, repeat, fold, seed = rows.select(CELL).row(0)
    probs = tables.probs_of(rows)
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
