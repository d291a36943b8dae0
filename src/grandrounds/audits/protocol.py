"""What an audit sees and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from grandrounds.tables import Task

Outcome = Literal["passed", "finding", "tip", "not applicable"]
MOST_ROWS = 20  # that a finding lists; it counts all


@dataclass(frozen=True, slots=True)
class AuditTables:
    """The tables of a run; None for those that there are not.

    Args:
        samples: Table `samples`.
        files: Table `files`.
        labels: Table `labels`.
        splits: Table `splits`.
        predictions: Table `predictions`.
        lifted: The same at the level at which families were compared, as `levels.lift` gives it; None where that is the
            level of `predictions`.
        other_tasks: Table `predictions` of the other tasks on the same images; None where there is one task.
        task: What is to be told from an image.
        patient_known: Whether patient ids were given; None where nobody says.
        scores: Table `scores` of the test role.
        comparisons: Table `comparisons` of the test role.
        trials: Table `trials`.
        decisions: Table `decisions`.
        primary: The metric that was declared; None for that of the comparisons.
        margin: Differences within this much, in units of the primary metric, count as equal; None where undeclared.
        share_s: Seconds of training that one trial of a family may use; None where no budget was declared.
        floors: Families that a useful one must beat.
        opened: How many trials opened the test role of these images, as the ledger has it; None where there is none.
        fitted_on: Trial to the patients whose images its model saw, as `tables.patient_hashes` gives them.
        prevalence: Of the positive class where the model is to be used; None where undeclared.
        declared: The primary metric and the margin of each time that the test role was judged, as far as they differ
            from those of the time before.
    """

    samples: pl.DataFrame | None = None
    files: pl.DataFrame | None = None
    labels: pl.DataFrame | None = None
    splits: pl.DataFrame | None = None
    predictions: pl.DataFrame | None = None
    lifted: pl.DataFrame | None = None
    other_tasks: pl.DataFrame | None = None
    task: Task | None = None
    patient_known: bool | None = None
    scores: pl.DataFrame | None = None
    comparisons: pl.DataFrame | None = None
    trials: pl.DataFrame | None = None
    decisions: pl.DataFrame | None = None
    primary: str | None = None
    margin: float | None = None
    share_s: float | None = None
    floors: tuple[str, ...] = ("prior", "metadata", "thumbnail")
    opened: int | None = None
    fitted_on: Mapping[str, frozenset[str]] | None = None
    prevalence: float | None = None
    declared: tuple[tuple[str, float], ...] = ()

    @property
    def compared(self) -> pl.DataFrame | None:
        """What was compared: predictions of samples, cases or patients."""
        return self.predictions if self.lifted is None else self.lifted


@dataclass(frozen=True, slots=True)
class Finding:
    """What one audit answers.

    Args:
        outcome: A finding is something to act on, a tip something to know.
        sentence: The answer in words, with its numbers.
        rows: What it is about, one line each, at most `MOST_ROWS`; samples and cases are named, patients are not.
    """

    outcome: Outcome
    sentence: str
    rows: tuple[str, ...] = ()


Audit: TypeAlias = Callable[[AuditTables], Finding]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audit of the catalogue.

    Args:
        name: Its number, such as `"A001"`.
        title: What it is called in reports.
        summary: One line for `grandrounds list audits`.
        run: `"module:function"`, an `Audit`.
        docs: Its page below `docs/`.
    """

    name: str
    title: str
    summary: str
    run: str
    docs: str


def not_applicable(missing: str) -> Finding:
    """Return the answer of an audit that lacks something."""
    return Finding("not applicable", f"Not applicable: {missing}.")


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "group"), counted(3, "group")
    ('1 group', '3 groups')
    """
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"
