"""What the families of one fold see, role by role, and the table of what they say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from grandrounds import families, tables
from grandrounds.errors import Leak
from grandrounds.families.protocol import View
from grandrounds.prepare import PreparedArray
from grandrounds.seeds import derive
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.splits import Fold, SplitPlan
from grandrounds.study.job import Job
from grandrounds.study.subsets import part_of
from grandrounds.tables import PROB, Role, Task


class Views:
    """The roles of one fold as views of their images; those of calib and test never carry labels.

    Args:
        job: Whose.
        held: Whether planes are held in memory; otherwise they are read when they are asked for.
    """

    def __init__(self, job: Job, *, held: bool = True) -> None:
        samples, meta = tables.read(tables.SAMPLES, job.run / "samples.parquet")
        self.task = Task.model_validate(meta["task"])
        labels = tables.read(tables.LABELS, job.run / "labels.parquet").frame
        self.plan = SplitPlan.load(job.run / "splits.parquet")
        roles = self.plan.roles(Fold(job.trial.repeat, job.trial.fold))
        self._job = job
        prepared = PreparedArray.load(job.prepared)
        self._chosen = prepared.chosen if held else prepared.stored
        self._samples = (
            samples.with_row_index("row")
            .join(labels.select("case", "label"), on="case", how="left", maintain_order="left")
            .join(roles, on="case", how="left", maintain_order="left")
        )

    def of(self, role: Role, *, labelled: bool = True) -> View:
        """Return the view of one role."""
        rows = self._rows(role)
        if role == "train" and self._job.trial.part < 1:
            trial = self._job.trial
            seed = derive(0, "learning curve", split=trial.split, repeat=trial.repeat, fold=trial.fold)
            kept = part_of(rows, trial.part, seed)
            rows = rows.filter(pl.col("patient").is_in(list(kept)))
        view = View(
            pixels=self._chosen(rows["row"].to_numpy()),
            samples=rows.drop("row", "label", "role"),
            labels=self._index(rows) if labelled and role in ("train", "valid") else None,
            task=self.task,
            flips=self._job.flips,
            cache=self._job.prepared.parent / "features",
        )
        return replace(view, others=tuple(self._others(view))) if labelled and role == "train" else view

    def _others(self, view: View) -> Iterator[View]:
        """Yield the role train of each other task that is learned along; of a part of the patients, these alone.

        Raises:
            Leak: Somebody is trained on there who is in another role here.
        """
        if not families.FAMILIES.get(self._job.trial.recipe.family).learns_several:
            return
        elsewhere = self._samples.filter(pl.col("role") != "train")["patient"].implode()
        trial = self._job.trial.replaced(part=1.0)
        for folder in self._job.beside:
            other = Views(replace(self._job, run=folder, trial=trial, beside=()), held=False).of("train")
            patients = other.samples["patient"]
            if patients.is_in(elsewhere).any():
                raise Leak(
                    "a patient who is trained on in one task is tested or chosen by in another",
                    where=folder,
                    remedy="plan the study anew, so that all tasks share one split",
                )
            whole = self._job.trial.part == 1
            yield other if whole else other.rows(patients.is_in(view.samples["patient"].implode()).to_numpy())

    def one(self) -> View:
        """Return what a model reads at once: an image of valid, or for one that reads cases the case that has most."""
        valid = self.of("valid", labelled=False)
        rows = np.arange(len(valid.samples)) == 0
        if families.FAMILIES.get(self._job.trial.recipe.family).reads == "case":
            cases = valid.samples["case"]
            rows = (cases == cases.mode(maintain_order=True)[0]).to_numpy()
        few = valid.rows(rows)
        return replace(few, pixels=np.asarray(few.pixels), cache=None)

    def has(self, role: Role) -> bool:
        """Return whether the split gives that role to anybody who has a label."""
        return not self._rows(role).is_empty()

    def predictions(self, role: Role, probs: Probs) -> pl.DataFrame:
        """Return the rows of the predictions table for one role."""
        trial = self._job.trial
        return (
            self._rows(role)
            .select("sample", "case", "patient", "label")
            .with_columns(
                unit=pl.lit("sample"), task=pl.lit(self.task.name), role=pl.lit(role),
                **{name: pl.lit(value) for name, value in trial.columns.items()},
                **{PROB + name: pl.Series(probs[:, k]) for k, name in enumerate(self.task.classes)},
            )
        )  # fmt: skip

    def _rows(self, role: Role) -> pl.DataFrame:
        return self._samples.filter((pl.col("role") == role) & pl.col("label").is_not_null())

    def _index(self, rows: pl.DataFrame) -> ClassIndex:
        positions = {name: k for k, name in enumerate(self.task.classes)}
        return np.array([positions[label] for label in rows["label"]], dtype=np.int64)
