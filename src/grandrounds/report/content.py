"""What a report is made of: tables and words, nothing that still has to be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Protocol

import polars as pl

from grandrounds import tables
from grandrounds.tables import Task

FLOORS = ("prior", "metadata", "thumbnail")


class PublishedResult(Protocol):
    """A result of others on the same set, shown beside ours."""

    @property
    def method(self) -> str:
        """What was trained."""
        ...

    @property
    def metric(self) -> str:
        """Our name of the metric."""
        ...

    @property
    def value(self) -> float:
        """As printed."""
        ...

    @property
    def source(self) -> str:
        """Where it was printed."""
        ...


@dataclass(frozen=True)
class ReportContent:
    """Everything that one report shows; an empty table makes its section disappear or say why.

    Args:
        title: Heading of the page.
        task: What was to be told from an image.
        verdict_sentences: The answer, in words.
        ships: The family that ships; None where none was chosen.
        primary: Name of the metric that the study declared.
        margin: Differences within this much, in units of the primary metric, count as equal.
        patient_known: Whether it is known which images show the same patient.
        scores: Table `scores`.
        comparisons: Table `comparisons`.
        intervals: Table `intervals`.
        curves: Table `curves`.
        samples: Table `samples`; empty for a bare CSV of predictions.
        labels: Table `labels`.
        splits: Table `splits`.
        predictions: Table `predictions`.
        trials: Table `trials`.
        history: Table `history`.
        findings: Table `findings`.
        decisions: Table `decisions`.
        suspects: Table `suspects`.
        external: Table `external`, of all data from elsewhere; no ranking rests on it.
        readers: Table `readers`.
        flow: Columns `stage, reason, n_images, n_cases, n_patients`, from found to analysed; None where nobody counted.
        floors: Families that a useful one must beat.
        split_notes: What a reader should know of the split.
        split_record: Of the split plan: identity, spec, seed, fingerprint, whether it leaks; empty where there is none.
        watermarks: Short warnings that stand on every page.
        assumptions: What the intervals take for granted.
        notes: What a reader should know of the data or the run.
        published: Results of others on the same set.
        study_toml: The resolved study.
        record: Versions, hardware, dates, command, fingerprints; may be nested.
        links: Label and relative address of other reports.
        thumbnails: Sample to PNG bytes.
        examples: Those of them that show what the images look like; None for all.
        tasks: The same for each of several tasks; all else then speaks of their mean.
        n_tasks: How many tasks stand on the page.
    """

    title: str
    task: Task
    verdict_sentences: tuple[str, ...] = ()
    ships: str | None = None
    primary: str = "auc"
    margin: float = 0.02
    patient_known: bool = True
    scores: pl.DataFrame = field(default_factory=partial(tables.empty, tables.SCORES))
    comparisons: pl.DataFrame = field(default_factory=partial(tables.empty, tables.COMPARISONS))
    intervals: pl.DataFrame = field(default_factory=partial(tables.empty, tables.INTERVALS))
    curves: pl.DataFrame = field(default_factory=partial(tables.empty, tables.CURVES))
    samples: pl.DataFrame = field(default_factory=partial(tables.empty, tables.SAMPLES))
    labels: pl.DataFrame = field(default_factory=partial(tables.empty, tables.LABELS))
    splits: pl.DataFrame = field(default_factory=partial(tables.empty, tables.SPLITS))
    predictions: pl.DataFrame = field(default_factory=partial(tables.empty, tables.PREDICTIONS))
    trials: pl.DataFrame = field(default_factory=partial(tables.empty, tables.TRIALS))
    history: pl.DataFrame = field(default_factory=partial(tables.empty, tables.HISTORY))
    findings: pl.DataFrame = field(default_factory=partial(tables.empty, tables.FINDINGS))
    decisions: pl.DataFrame = field(default_factory=partial(tables.empty, tables.DECISIONS))
    suspects: pl.DataFrame = field(default_factory=partial(tables.empty, tables.SUSPECTS))
    external: pl.DataFrame = field(default_factory=partial(tables.empty, tables.EXTERNAL))
    readers: pl.DataFrame = field(default_factory=partial(tables.empty, tables.READERS))
    flow: pl.DataFrame | None = None
    floors: tuple[str, ...] = FLOORS
    split_notes: tuple[str, ...] = ()
    split_record: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    watermarks: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    published: tuple[PublishedResult, ...] = ()
    study_toml: str = ""
    record: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    links: tuple[tuple[str, str], ...] = ()
    thumbnails: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    examples: frozenset[str] | None = None
    tasks: tuple[ReportContent, ...] = ()
    n_tasks: int = 1

    def table(self, name: str) -> pl.DataFrame:
        """Return a table with the rows of every task."""
        own: pl.DataFrame = getattr(self, name)
        return pl.concat([own, *(getattr(one, name) for one in self.tasks)], how="diagonal") if self.tasks else own
