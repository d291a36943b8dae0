"""What a run folder has for the audits: every table that is there, and what the study declared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from grandrounds import families, specs, tables
from grandrounds.audits import AuditTables
from grandrounds.errors import BadData
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.cohort import checked
from grandrounds.study.shares import share_s, whole_trials
from grandrounds.study.spec import FLOORS, Study, floors_of
from grandrounds.study.trial import FITTED
from grandrounds.tables import Schema, Task

VERDICT = "verdict.json"
LEDGER = "ledger.json"  # how often the test role had been opened when the run was judged, and what was declared then
DECLARED = "declared"
_AUDITED = (
    tables.SAMPLES, tables.FILES, tables.LABELS, tables.SPLITS, tables.PREDICTIONS,
    tables.SCORES, tables.COMPARISONS, tables.TRIALS, tables.DECISIONS,
)  # fmt: skip


def evidence(folder: Path) -> AuditTables:
    """Return the tables of a run folder, finished or not; what is not there is None.

    Raises:
        BadData: It is no run folder, or a table in it cannot be read.
    """
    if not (folder / "samples.parquet").exists():
        raise BadData(
            "this is no run folder: it has no samples.parquet", where=folder,
            remedy="give the folder of a run, or a CSV of predictions",
        )  # fmt: skip
    meta = tables.read(tables.SAMPLES, folder / "samples.parquet").meta
    found: dict[str, Any] = {schema.name: tables.read(schema, _path(folder, schema)).frame for schema in _there(folder)}
    task = Task.model_validate(meta["task"])
    study = specs.read(Study, folder / "study.toml") if (folder / "study.toml").exists() else None
    return AuditTables(
        **found,
        task=task,
        lifted=_lifted(found.get("predictions"), task, folder),
        patient_known=meta["patient_known"],
        primary=study.judge.primary if study is not None else None,
        margin=study.judge.margin if study is not None else None,
        prevalence=study.judge.decide.prevalence if study is not None else None,
        share_s=_share_s(study, folder) if study is not None else None,
        floors=FLOORS if study is None else floors_of(study),
        opened=_json(folder / LEDGER)["by trials"] if (folder / LEDGER).exists() else None,
        declared=tuple((str(primary), float(margin)) for primary, margin in declared(folder)),
        fitted_on=dict(_fitted_on(folder, found.get("trials"))),
    )


def declared(folder: Path) -> list[list[Any]]:
    """Return primary metric and margin of each time that a run was judged, where they differ from the time before."""
    return list(_json(folder / LEDGER).get(DECLARED, [])) if (folder / LEDGER).exists() else []


def _lifted(predictions: pl.DataFrame | None, task: Task, folder: Path) -> pl.DataFrame | None:
    """Return the predictions at the level that was compared, by the rules that the run kept; None where it has none."""
    if predictions is None or predictions.is_empty() or not (folder / VERDICT).exists():
        return None
    kept = Verdict.model_validate_json((folder / VERDICT).read_text(encoding="utf-8"))
    rows = checked(predictions, task, tables.ROLES)
    return levels.lift(rows, task, kept.unit, levels.remembered(kept.combined))


def _fitted_on(folder: Path, trials: pl.DataFrame | None) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each judged trial with the patients whose images its model saw, as hashes."""
    for trial in () if trials is None else trials["trial"]:
        saved = folder / "trials" / trial / FITTED / "fitted.json"
        if saved.exists():
            yield trial, frozenset(_json(saved)["record"]["patients"])


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _share_s(study: Study, folder: Path) -> float | None:
    """Return the seconds that one trial of a contender could use when the study was planned."""
    if not _path(folder, tables.SPLITS).exists():
        return None
    splits = tables.read(tables.SPLITS, _path(folder, tables.SPLITS)).frame
    n_trials = whole_trials(splits.select("repeat", "fold").n_unique() * study.seeds, study.curve)
    contenders = sum(families.FAMILIES.get(recipe.family).kind != "floor" for recipe in study.recipes)
    return share_s(contenders, n_trials=n_trials, budget_s=study.means.budget_s, workers=study.means.workers)


def _there(folder: Path) -> list[Schema]:
    return [schema for schema in _AUDITED if _path(folder, schema).exists()]


def _path(folder: Path, schema: Schema) -> Path:
    return folder / f"{schema.name}.parquet"
