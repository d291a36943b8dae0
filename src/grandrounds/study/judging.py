"""From finished trials to tables: scores, comparisons, curves, findings and the verdict, beside the run.

Nothing is decided here; this is where the study hands its predictions to the judge and keeps what the judge says.
"""

from __future__ import annotations

from grandrounds import audits, tables
from grandrounds.errors import BadData
from grandrounds.evaluate.judge import Judgement, judge
from grandrounds.evaluate.verdict import Verdict, verdict
from grandrounds.seeds import derive
from grandrounds.splits import SplitPlan
from grandrounds.study.evidence import evidence
from grandrounds.study.spec import FLOORS, Study
from grandrounds.study.store import Store
from grandrounds.tables import Task

VALID_RESAMPLES = 200  # selection needs the estimates on valid; their intervals are not shown


def judge_run(study: Study, store: Store, plan: SplitPlan, task: Task) -> Verdict:
    """Judge the finished trials, write every table into the run folder, and return the verdict.

    Raises:
        BadData: No family produced a prediction.
    """
    trials, predictions = store.trials(), store.predictions()
    if predictions.is_empty():
        notes = "; ".join(trials["note"].drop_nulls().unique().to_list())
        raise BadData("no family could be trained", where=store.folder, remedy=f"the families said: {notes}")
    seed = derive(study.seed, "bootstrap")
    known = bool(tables.read(tables.SAMPLES, store.folder / "samples.parquet").meta["patient_known"])
    ask = study.judge
    outcome = judge(
        predictions, task, primary=ask.primary, margin=ask.margin, resamples=ask.resamples, seed=seed,
        patient_known=known,
    )  # fmt: skip
    valid = judge(
        predictions, task, primary=ask.primary, margin=ask.margin, resamples=VALID_RESAMPLES, seed=seed,
        role="valid", patient_known=known,
    )  # fmt: skip
    decision = verdict(
        outcome.scores, outcome.comparisons, trials, valid.scores, task,
        study.judge.primary, study.judge.margin, FLOORS,
    )  # fmt: skip
    _write(store, task, plan, outcome, decision)
    return decision


def _write(store: Store, task: Task, plan: SplitPlan, outcome: Judgement, decision: Verdict) -> None:
    meta = {"task": task.model_dump(), "split": plan.identity, "notes": list(outcome.notes)}
    folder, trials, predictions = store.folder, store.trials(), store.predictions()
    for schema, frame in (
        (tables.TRIALS, trials),
        (tables.HISTORY, store.history()),
        (tables.PREDICTIONS, predictions),
        (tables.SCORES, outcome.scores),
        (tables.COMPARISONS, outcome.comparisons),
        (tables.CURVES, outcome.curves),
    ):
        tables.write(frame, schema, folder / f"{schema.name}.parquet", meta)
    tables.write(audits.run(evidence(folder)), tables.FINDINGS, folder / "findings.parquet", meta)
    store.write_text("verdict.json", decision.model_dump_json(indent=2))
