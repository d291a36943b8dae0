"""From finished trials to tables: scores, comparisons, curves, findings and the verdict, beside the run.

Nothing is decided here; this is where the study hands its predictions to the judge and keeps what the judge says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import polars as pl

from grandrounds import audits, tables
from grandrounds.errors import BadData
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.closer import look_closer
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.judge import Judgement
from grandrounds.evaluate.lacking import with_lacking
from grandrounds.evaluate.learning import Part, learning
from grandrounds.evaluate.wrongly import read_wrongly
from grandrounds.seeds import derive
from grandrounds.splits import SplitPlan
from grandrounds.study.evidence import VERDICT, evidence
from grandrounds.study.spec import Study, floors_of
from grandrounds.study.store import Store
from grandrounds.study.subsets import part_of
from grandrounds.tables import Task


def judge_run(
    study: Study, store: Store, plan: SplitPlan, task: Task, names: Collection[str],
    parts: Mapping[float, Collection[str]] = MappingProxyType({}),
) -> Verdict:  # fmt: skip
    """Judge the finished trials, write every table into the run folder, and return the verdict.

    Args:
        study: What was run.
        store: The run folder.
        plan: Who was in which role.
        task: What was to be told.
        names: Of the trials on all training patients.
        parts: Share of these patients to the names of the trials on them.

    Raises:
        BadData: No family produced a prediction.
    """
    trials, predictions = store.gathered(tables.TRIALS, names), store.gathered(tables.PREDICTIONS, names)
    if predictions.is_empty():
        notes = "; ".join(trials["note"].drop_nulls().unique().to_list())
        raise BadData("no family could be trained", where=store.folder, remedy=f"the families said: {notes}")
    seed = derive(study.seed, "bootstrap")
    samples, meta_of_data = tables.read(tables.SAMPLES, store.folder / "samples.parquet")
    known = bool(meta_of_data["patient_known"])
    ask, floors = study.judge, floors_of(study)
    outcome, decision = answer(
        predictions,
        task,
        trials,
        floors,
        seed=seed,
        patient_known=known,
        **ask.model_dump(exclude={"decide", "slices"}),
    )
    lifted = levels.lift(checked(predictions, task, tables.ROLES), task, outcome.unit, outcome.rules)
    facts, lacks = with_lacking(samples)
    closer = look_closer(
        lifted, facts, task, unit=outcome.unit, primary=ask.primary, margin=ask.margin, aims=ask.decide,
        sliced_by=(*ask.slices, *lacks), known=outcome.recalibrations, seed=seed, patient_known=known,
    )  # fmt: skip
    gathered = {
        "trials": trials,
        "history": store.gathered(tables.HISTORY, names),
        "predictions": predictions,
        "scores": pl.concat([outcome.scores, closer.scores]),
        "comparisons": pl.concat([outcome.comparisons, closer.comparisons], how="diagonal"),
        "intervals": outcome.intervals,
        "curves": pl.concat([outcome.curves, _learning(study, store, plan, task, outcome, names, parts)]),
        "decisions": closer.decisions,
        "suspects": read_wrongly(predictions, task, floors=floors),
    }
    meta: dict[str, object] = {
        "task": task.model_dump(), "patient_known": known, "split": plan.identity,
        "notes": [*outcome.notes, *closer.notes],
    }  # fmt: skip
    _write(store, gathered, meta, decision)
    return decision


def _learning(
    study: Study, store: Store, plan: SplitPlan, task: Task, outcome: Judgement, names: Collection[str],
    parts: Mapping[float, Collection[str]],
) -> pl.DataFrame:  # fmt: skip
    """Return the learning curve; no row where none was asked for."""
    if not parts:
        return tables.empty(tables.CURVES)
    labels = tables.read(tables.LABELS, store.folder / "labels.parquet").frame.drop_nulls("label")
    owners = tables.read(tables.SAMPLES, store.folder / "samples.parquet").frame.select("case", "patient").unique()
    rows = owners.join(labels, on="case")
    found = []
    for part, trials in {**parts, 1.0: names}.items():
        predictions = store.gathered(tables.PREDICTIONS, trials)
        if not predictions.is_empty():
            lifted = levels.lift(checked(predictions, task, tables.ROLES), task, outcome.unit, outcome.rules)
            trained = [rows.join(plan.roles(fold).filter(role="train"), on="case") for fold in plan.folds()]
            sizes = [len(part_of(one, part, seed=0)) for one in trained]  # how many does not depend on the seed
            found.append(Part(sum(sizes) / len(sizes), lifted))
    seed = derive(study.seed, "bootstrap")
    return learning(found, task, primary_for(task, study.judge.primary), unit=outcome.unit, seed=seed)


def _write(store: Store, gathered: dict[str, pl.DataFrame], meta: dict[str, object], decision: Verdict) -> None:
    folder = store.folder
    for name, frame in gathered.items():
        tables.write(frame, tables.SCHEMAS[name], folder / f"{name}.parquet", meta)
    store.write_text(VERDICT, decision.model_dump_json(indent=2))
    tables.write(audits.run(evidence(folder)), tables.FINDINGS, folder / "findings.parquet", meta)
