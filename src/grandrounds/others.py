"""Predictions that others made: from a CSV to findings, scores and a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grandrounds import tables
from grandrounds.audits import AuditTables
from grandrounds.errors import Refusal
from grandrounds.evaluate.intake import intake
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.verdict import verdict
from grandrounds.report import gather, write
from grandrounds.report.content import ReportContent
from grandrounds.study.spec import FLOORS, JudgeSpec

REPORT = "report.html"


def evidence(path: Path) -> AuditTables:
    """Return a CSV of anybody's predictions, with its scores where it can be judged."""
    predictions, task, _, patient_known = intake(path)
    ask = JudgeSpec()
    found = AuditTables(
        predictions=predictions, task=task, patient_known=patient_known, margin=ask.margin, floors=FLOORS
    )
    try:
        judged = judge(
            predictions, task, primary=ask.primary, margin=ask.margin, resamples=ask.resamples,
            patient_known=patient_known,
        )  # fmt: skip
    except Refusal:  # for example no row of the role test: the audits that need scores are then not applicable
        return found
    return replace(found, scores=judged.scores, comparisons=judged.comparisons)


def report(path: Path, out: Path) -> Path:
    """Judge a CSV of anybody's predictions and write scores and report."""
    predictions, task, notes, patient_known = intake(path)
    ask = JudgeSpec()
    outcome = judge(
        predictions, task, primary=ask.primary, margin=ask.margin, resamples=ask.resamples,
        patient_known=patient_known, floors=FLOORS,
    )  # fmt: skip
    decision = verdict(
        outcome.scores, outcome.comparisons, tables.empty(tables.TRIALS), tables.empty(tables.SCORES), task,
        ask.primary, ask.margin, FLOORS, selection=outcome.selection,
    )  # fmt: skip
    for schema, frame in ((tables.SCORES, outcome.scores), (tables.COMPARISONS, outcome.comparisons)):
        tables.write(frame, schema, out / f"{schema.name}.parquet", {"task": task.model_dump()})
    content = ReportContent(
        title=f"{path.stem}: which family reads it best?", task=task, verdict_sentences=decision.sentences,
        ships=decision.ships, scores=outcome.scores, comparisons=outcome.comparisons, curves=outcome.curves,
        patient_known=patient_known, predictions=predictions, notes=(*notes, *outcome.notes),
        assumptions=gather.assumptions(patient_known=patient_known),
    )  # fmt: skip
    return write(content, out / REPORT)
