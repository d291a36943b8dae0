"""A split plan: who is in which role, drawn once, checked when built, hashed, a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import polars as pl

from grandrounds import specs, tables
from grandrounds.errors import BadData, BadSpec, Leak
from grandrounds.splits import schemes
from grandrounds.splits.spec import SplitSpec
from grandrounds.tables import Role

_FOLD = ("repeat", "fold")


@dataclass(frozen=True, slots=True, order=True)
class Fold:
    """One division of the cases into roles."""

    repeat: int
    fold: int


@dataclass(frozen=True)
class SplitPlan:
    """The roles of all cases in all folds; cannot be built where a patient would stand on two sides.

    Args:
        table: Table `splits`, with the columns `patient` and `label` beside, and `together` where some share images.
        spec: What was drawn: the scheme resolved, the number of folds that was possible.
        seed: Root of the draws.
        fingerprint: Of the dataset whose cases these are.
        notes: What a reader of the report should be told.
        known_as: Identity of the plan under the data's own names, where these are pseudonyms.

    Raises:
        BadData: A case is missing in a fold, or a fold has nothing to train or test on.
        Leak: A patient has two roles in one fold, in a split that was not given and not asked to be by sample.
    """

    table: pl.DataFrame
    spec: SplitSpec
    seed: int
    fingerprint: str
    notes: tuple[str, ...] = ()
    known_as: str | None = None

    def __post_init__(self) -> None:
        table = tables.check(self.table, tables.SPLITS, where="split plan")
        absent = {"patient", "label"} - set(table.columns)
        if absent:
            raise BadData(f"a split plan needs the column {', '.join(sorted(absent))}", where="split plan")
        bound = [schemes.TOGETHER] if schemes.TOGETHER in table.columns else []
        table = table.select(*tables.SPLITS.columns, "patient", "label", *bound).sort(*_FOLD, "case")
        object.__setattr__(self, "table", table)
        self._check_roles()
        self._check_patients()

    @cached_property
    def identity(self) -> str:
        """A hash of who is where, and of the dataset; the same whatever pseudonyms are used."""
        return self.known_as or self.checksum

    @cached_property
    def checksum(self) -> str:
        """A hash of who is where under the names that this plan uses, and of the dataset."""
        return specs.digest([self.fingerprint, self.table.rows()])

    @property
    def opens(self) -> str:
        """What the ledger counts openings of: the data, or the folds inside their official train and valid."""
        return f"{self.fingerprint}-inside" if self.spec.scheme == "inside" else self.fingerprint

    def renamed(self, names: Callable[[pl.DataFrame], pl.DataFrame]) -> SplitPlan:
        """Return the same plan with other names for its cases and patients.

        Args:
            names: Given the table, returns it with other names in `case` and `patient`.
        """
        return replace(self, table=names(self.table), known_as=self.identity)

    def of_task(self, labels: pl.DataFrame, fingerprint: str) -> SplitPlan:
        """Return the plan of one of the tasks that this one was drawn for: the same roles, of the cases labelled there.

        Args:
            labels: Columns `case, label` of the task; null where it is not known.
            fingerprint: Of the dataset with that task.

        Raises:
            BadData: A fold has nobody to train on, or nobody to test, whose label is known.
        """
        known = labels.select("case", "label").drop_nulls("label")
        table = self.table.drop("label").join(known, on="case", how="inner")
        return replace(self, table=table, fingerprint=fingerprint)

    @cached_property
    def leaky(self) -> bool:
        """Whether a patient stands on two sides of an official or a by-sample split: to be watermarked."""
        return not self._straddling.is_empty()

    def folds(self) -> list[Fold]:
        """Return every fold of every repeat, in order."""
        return [Fold(*row) for row in self.table.select(_FOLD).unique().sort(_FOLD).rows()]

    def roles(self, fold: Fold) -> pl.DataFrame:
        """Return the columns `case, role` of one fold."""
        return self._rows(fold).select("case", "role")

    def inner(self, fold: Fold, n_folds: int, seed: int, roles: tuple[Role, ...]) -> SplitPlan:
        """Return a plan of folds that deal the cases of some roles of one fold anew.

        Raises:
            BadData: These roles have too few patients of a class.
        """
        inside = self._rows(fold).filter(pl.col("role").is_in(list(roles)))
        drawn = schemes.kfold(inside, self.spec.replaced(folds=n_folds, repeats=1), seed)
        return SplitPlan(drawn.table, drawn.spec, seed, self.fingerprint, drawn.notes)

    def straddlers(self) -> str:
        """Return how many patients stand on two sides, and at most three of their cases."""
        n_patients = self._straddling["who"].n_unique()
        cases = self._straddling["case"].unique().sort().head(3).to_list()
        noun = "patient" if n_patients == 1 else "patients"
        return f"{n_patients} {noun} (for example in the cases {', '.join(cases)})"

    def refuse_foreign(self, fingerprint: str) -> None:
        """Refuse to be used with other data than those it was drawn for.

        Raises:
            BadSpec: The fingerprints differ.
        """
        if fingerprint != self.fingerprint:
            raise BadSpec(
                "the split plan was drawn for other data: images, labels or patients have changed since",
                where=f"plan for {self.fingerprint}, data {fingerprint}",
                remedy="start a new run folder, so that the plan is drawn anew",
            )

    def save(self, path: Path) -> Path:
        """Write the plan as Parquet, whole or not at all, and return the path."""
        meta = {
            "spec": self.spec.model_dump(mode="json"),
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "notes": self.notes,
            "leaky": self.leaky,
            "identity": self.identity,
            "checksum": self.checksum,
        }
        return tables.write(self.table, tables.SPLITS, path, meta)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the plan in a file that `save` wrote.

        Raises:
            BadData: The file is no plan, or somebody changed it after it was drawn.
        """
        frame, meta = tables.read(tables.SPLITS, path)
        absent = {"spec", "seed", "fingerprint", "notes", "identity", "checksum"} - meta.keys()
        if absent:
            raise BadData("the file is no split plan", where=path, remedy="draw a plan and save it")
        spec = specs.parse(SplitSpec, meta["spec"], where=path)
        plan = cls(frame, spec, int(meta["seed"]), str(meta["fingerprint"]), tuple(meta["notes"]), meta["identity"])
        if plan.checksum != meta["checksum"]:
            raise BadData("the split plan was changed after it was drawn", where=path, remedy="start a new run folder")
        return plan

    def _rows(self, fold: Fold) -> pl.DataFrame:
        rows = self.table.filter(pl.col("repeat") == fold.repeat, pl.col("fold") == fold.fold)
        if rows.is_empty():
            raise BadSpec(f"the split plan has no repeat {fold.repeat}, fold {fold.fold}", remedy="draw the split anew")
        return rows

    def _check_roles(self) -> None:
        strange = sorted(set(self.table["role"].unique()) - set(tables.ROLES))
        if strange:
            remedy = f"the roles are {', '.join(tables.ROLES)}"
            raise BadData(f"there is no role {strange[0]!r}", where="split plan", remedy=remedy)
        per_fold = self.table.group_by(_FOLD).agg(pl.col("role").unique(), n_cases=pl.len())
        if any(not {"train", "test"} <= set(roles) for roles in per_fold["role"]):
            raise BadData("a fold needs cases to train on and cases to test on", where="split plan")
        everyone = self.table["case"].n_unique()  # no fold has a case twice: that is the key of the table
        if (per_fold["n_cases"] != everyone).any():
            raise BadData("every case must have one role in every fold", where="split plan")
        tested = self.table.filter(pl.col("role") == "test").group_by("repeat", "case").len()
        if self.spec.scheme in ("kfold", "inside") and (tested["len"] > 1).any():
            raise BadData("no case may be tested twice in one repeat of k folds", where="split plan")

    def _check_patients(self) -> None:
        if self.leaky and self.spec.group == "patient" and self.spec.scheme != "official":
            raise Leak(
                f"two sides of the split would share {self.straddlers()}",
                where="split plan",
                remedy="draw the split by patient: grandrounds does so unless told otherwise",
            )

    @cached_property
    def _straddling(self) -> pl.DataFrame:
        return tables.straddling(self.table.with_columns(who=tables.patient_numbers(self.table["patient"])))
