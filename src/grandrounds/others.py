"""Predictions that others made: from their files to findings, scores and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from grandrounds import tables
from grandrounds.audits import AuditTables
from grandrounds.errors import Refusal
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.closer import Closer, look_closer, nothing
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.intake import Intake, intake
from grandrounds.evaluate.judge import Judgement
from grandrounds.evaluate.ratings import check_primary, undefined, without_curves
from grandrounds.evaluate.readers import readers_of
from grandrounds.report import gather, write_all
from grandrounds.report.content import ReportContent
from grandrounds.study.spec import FLOORS, JudgeSpec


def evidence(paths: Sequence[Path], columns: Columns, ask: JudgeSpec) -> AuditTables:
    """Return anybody's predictions, with their scores where they can be judged."""
    found = intake(paths, columns)
    known = AuditTables(
        predictions=found.predictions, task=found.task, patient_known=found.patient_known, margin=ask.margin,
        floors=FLOORS, prevalence=ask.decide.prevalence,
    )  # fmt: skip
    try:
        judged, _ = _answered(found, ask)
    except Refusal:  # for example no row of the role test: the audits that need scores are then not applicable
        return known
    return replace(known, scores=judged.scores, comparisons=judged.comparisons)


def report(paths: Sequence[Path], out: Path, columns: Columns, ask: JudgeSpec) -> Path:
    """Judge anybody's predictions, write scores and report, and return the report's file."""
    found = intake(paths, columns)
    outcome, decision = _answered(found, ask)
    lifted = levels.lift(
        checked(found.predictions, found.task, tables.ROLES), found.task, outcome.unit, outcome.rules
    )  # fmt: skip
    seen = readers_of(lifted, found.task, found.readers)
    closer = _closer(lifted, outcome.unit, found, ask)
    scores = pl.concat([outcome.scores, closer.scores])
    comparisons = pl.concat([outcome.comparisons, closer.comparisons], how="diagonal")
    written = (
        (tables.SCORES, scores), (tables.COMPARISONS, comparisons), (tables.DECISIONS, closer.decisions),
    )  # fmt: skip
    for schema, frame in written:
        tables.write(frame, schema, out / f"{schema.name}.parquet", {"task": found.task.model_dump()})
    if not seen.is_empty():
        tables.write(seen, tables.READERS, out / "readers.parquet", {"task": found.task.model_dump()})
    content = ReportContent(
        title=f"{paths[0].stem}: which family reads it best?", task=found.task, verdict_sentences=decision.sentences,
        ships=decision.ships, primary=ask.primary, margin=ask.margin, patient_known=found.patient_known,
        scores=scores, comparisons=comparisons, curves=outcome.curves, predictions=found.predictions,
        readers=seen, decisions=closer.decisions, notes=(*found.notes, *outcome.notes, *closer.notes),
        assumptions=gather.assumptions(patient_known=found.patient_known),
    )  # fmt: skip
    return write_all(content, out)


def _answered(found: Intake, ask: JudgeSpec) -> tuple[Judgement, Verdict]:
    """Return judgement and verdict without what a family's scale does not carry."""
    check_primary(ask.primary, found.scales)
    judged, decision = answer(
        found.predictions, found.task, tables.empty(tables.TRIALS), FLOORS, patient_known=found.patient_known,
        **ask.model_dump(exclude={"decide", "slices"}),
    )  # fmt: skip
    scores = undefined(judged.scores, found.scales)
    return replace(judged, scores=scores, curves=without_curves(judged.curves, found.scales)), decision


def _closer(lifted: pl.DataFrame, unit: tables.Unit, found: Intake, ask: JudgeSpec) -> Closer:
    """Return a closer look at the families that state probabilities on the test role."""
    families = [family for family, scale in found.scales.items() if scale == "probability"]
    stated = lifted.filter(pl.col("family").is_in(families))
    if stated.filter(role="test").is_empty():
        return nothing()
    return look_closer(
        stated, found.predictions, found.task, unit=unit, primary=ask.primary, margin=ask.margin, aims=ask.decide,
        sliced_by=ask.slices, patient_known=found.patient_known,
    )  # fmt: skip
