"""Predictions that others made: from their files to findings, scores and a report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from grandrounds import audits, tables
from grandrounds.audits import AuditTables
from grandrounds.errors import Refusal
from grandrounds.evaluate import levels, roles
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.closer import Closer, look_closer, nothing
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.intake import Intake, intakes
from grandrounds.evaluate.judge import Judgement
from grandrounds.evaluate.ratings import check_primary, undefined, without_curves
from grandrounds.evaluate.readers import readers_of
from grandrounds.evaluate.wrongly import read_wrongly
from grandrounds.report import gather
from grandrounds.report.content import ReportContent
from grandrounds.report.leaking import marked
from grandrounds.study.record import JUDGING, record
from grandrounds.study.spec import FLOORS, JudgeSpec
from grandrounds.together import keep, title, together


def audited(paths: Sequence[Path], columns: Columns, ask: JudgeSpec) -> pl.DataFrame:
    """Return the table `findings` of anybody's predictions; of several tasks each is audited."""
    found = intakes(paths, columns)
    return pl.concat(_findings(_evidence(one, ask), one, found) for one in found)


def judged(paths: Sequence[Path], out: Path, columns: Columns, ask: JudgeSpec) -> ReportContent:
    """Judge and audit anybody's predictions, write the tables, and return what the report shows."""
    found = intakes(paths, columns)
    each = [_content(one, found, ask) for one in found]
    content = each[0]
    if len(each) > 1:
        readers = dict.fromkeys(reader for one in found for reader in _human(one))
        content = marked(together(each, ask, scales=[one.scales for one in found], readers=list(readers)))
    named = title([path.stem for path in paths], len(each))
    return keep(replace(content, title=named, record=_record(paths)), out)


def _content(found: Intake, among: Sequence[Intake], ask: JudgeSpec) -> ReportContent:
    """Return what there is to say of one task, among others or alone."""
    outcome, decision = _answered(found, ask)
    lifted = _lifted(found, outcome)
    closer = _closer(lifted, outcome, found, ask)
    content = ReportContent(
        title=found.task.name, task=found.task,
        verdict_sentences=decision.sentences, ships=decision.ships, primary=ask.primary, margin=ask.margin,
        patient_known=found.patient_known, scores=pl.concat([outcome.scores, closer.scores]),
        comparisons=pl.concat([outcome.comparisons, closer.comparisons], how="diagonal"),
        intervals=outcome.intervals, curves=outcome.curves, predictions=found.predictions, decisions=closer.decisions,
        suspects=_wrongly(found),
        findings=_findings(replace(_judged(found, ask, outcome, lifted), decisions=closer.decisions), found, among),
        readers=readers_of(lifted, found.task, found.readers), record=record(JUDGING),
        notes=(*found.notes, *outcome.notes, *closer.notes, *_one_by_one(found)),
        assumptions=gather.assumptions(patient_known=found.patient_known),
    )  # fmt: skip
    return marked(content)


def _findings(known: AuditTables, found: Intake, among: Sequence[Intake]) -> pl.DataFrame:
    """Return what the audits say of one task, with its name where there are others."""
    others = [one.predictions for one in among if one is not found]
    if not others:
        return audits.run(known)
    findings = audits.run(replace(known, other_tasks=pl.concat(others, how="diagonal")))
    return findings.with_columns(task=pl.lit(found.task.name))


def _evidence(found: Intake, ask: JudgeSpec) -> AuditTables:
    """Return anybody's predictions, with their scores where they can be judged."""
    try:
        judged, _ = _answered(found, ask)
    except Refusal:  # for example no row of the role test: the audits that need scores are then not applicable
        return _known(found, ask)
    return _judged(found, ask, judged, _lifted(found, judged))


def _known(found: Intake, ask: JudgeSpec) -> AuditTables:
    """Return what the audits may see before anything is judged."""
    return AuditTables(
        predictions=found.predictions, task=found.task, patient_known=found.patient_known, primary=ask.primary,
        margin=ask.margin, floors=FLOORS, prevalence=ask.decide.prevalence,
    )  # fmt: skip


def _judged(found: Intake, ask: JudgeSpec, outcome: Judgement, lifted: pl.DataFrame) -> AuditTables:
    """Return what the audits may see once it was judged."""
    return replace(_known(found, ask), lifted=lifted, scores=outcome.scores, comparisons=outcome.comparisons)


def _lifted(found: Intake, outcome: Judgement) -> pl.DataFrame:
    """Return the predictions at the level that was compared."""
    return levels.lift(checked(found.predictions, found.task, tables.ROLES), found.task, outcome.unit, outcome.rules)


def _one_by_one(found: Intake) -> tuple[str, ...]:
    """Return why nothing is said over readers where there are some."""
    if not found.readers or found.task.kind == "binary":
        return ()
    return ("Readers are compared one by one: over readers and cases only two classes can be compared.",)


def _record(paths: Sequence[Path]) -> dict[str, object]:
    """Return versions, machine and command, and which files were read, by the hash of what was in them."""
    return record(JUDGING) | {"files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}}


def _answered(found: Intake, ask: JudgeSpec) -> tuple[Judgement, Verdict]:
    """Return judgement and verdict without what a family's scale does not carry."""
    ask.decide.check(found.task)
    roles.refuse_untested(found.predictions, found.task.name)
    check_primary(ask.primary, found.scales)
    judged, decision = answer(
        found.predictions, found.task, tables.empty(tables.TRIALS), FLOORS, patient_known=found.patient_known,
        readers=_human(found), **ask.model_dump(exclude={"decide", "slices"}),
    )  # fmt: skip
    scores = undefined(judged.scores, found.scales)
    return replace(judged, scores=scores, curves=without_curves(judged.curves, found.scales)), decision


def _human(found: Intake) -> list[str]:
    """Return the families that are human readers: whoever rates or decides and states no probability."""
    return [one for one, scale in found.scales.items() if scale != "probability" or one in found.readers]


def _stated(found: Intake, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of families that state probabilities."""
    return rows.filter(pl.col("family").is_in([one for one, scale in found.scales.items() if scale == "probability"]))


def _wrongly(found: Intake) -> pl.DataFrame:
    stated = _stated(found, found.predictions)
    return read_wrongly(stated, found.task, floors=FLOORS)


def _closer(lifted: pl.DataFrame, outcome: Judgement, found: Intake, ask: JudgeSpec) -> Closer:
    """Return a closer look at the families that state probabilities on the test role."""
    stated = _stated(found, lifted)
    if stated.filter(role="test").is_empty():
        return nothing()
    return look_closer(
        stated, found.predictions, found.task, unit=outcome.unit, primary=ask.primary, margin=ask.margin,
        aims=ask.decide, sliced_by=ask.slices, known=outcome.recalibrations, patient_known=found.patient_known,
    )  # fmt: skip
