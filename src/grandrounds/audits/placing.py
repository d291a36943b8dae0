"""Who stands where: the cases with their roles, patients and labels, from the split or from the predictions."""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import AuditTables
from grandrounds.evaluate.levels import one_label
from grandrounds.tables import Task

FOLD = ["repeat", "fold"]
COLUMNS = [*FOLD, "role", "case", "patient", "label"]


def placed(tables: AuditTables) -> pl.DataFrame | None:
    """Return one row a case and fold with the columns `COLUMNS`; None where no table gives roles and labels.

    Cases without a label take no part; a patient that nobody names is null.
    """
    found = _of_split(tables) if tables.splits is not None else None
    if found is None and tables.predictions is not None:
        found = _of_predictions(tables.predictions)
    return None if found is None or found.is_empty() else found


def by_unit(cases: pl.DataFrame, unit: str, task: Task) -> pl.DataFrame:
    """Return the same rows, and one a patient instead of one a case where patients were compared.

    Args:
        cases: What `placed` gave, perhaps with further columns, whose first value is taken.
        unit: What was compared.
        task: What was to be told; it says which label a patient with several has.
    """
    if unit != "patient":
        return cases
    people = cases.with_columns(patient=pl.coalesce("patient", "case"))
    return people.group_by(*FOLD, "role", "patient", maintain_order=True).agg(
        one_label(task).alias("label"), pl.exclude("label").first()
    )


def at(repeat: int | None, fold: int | None) -> str:
    """Return where a fold is, in words.

    >>> at(0, 2)
    'repeat 0, fold 2'
    """
    return f"repeat {repeat or 0}, fold {fold or 0}"


def _of_split(tables: AuditTables) -> pl.DataFrame | None:
    rows = tables.splits
    if rows is None:
        return None
    if "label" not in rows.columns:
        if tables.labels is None:
            return None
        name = tables.task.name if tables.task is not None else None
        labels = tables.labels if name is None else tables.labels.filter(pl.col("task") == name)
        rows = rows.join(labels.select("case", "label").unique("case", keep="first"), on="case")
    if "patient" not in rows.columns:
        if tables.samples is None:
            rows = rows.with_columns(patient=pl.lit(None, dtype=pl.String()))
        else:
            people = tables.samples.select("case", "patient").unique("case", keep="first")
            rows = rows.join(people, on="case", how="left")
    return rows.select(COLUMNS).drop_nulls("label")  # without nulls nothing is copied


def _of_predictions(predictions: pl.DataFrame) -> pl.DataFrame | None:
    if not {"sample", "role", "label"} <= set(predictions.columns):
        return None
    absent = [name for name in (*COLUMNS, "sample") if name not in predictions.columns]
    rows = predictions.with_columns(pl.lit(None).alias(name) for name in absent)
    rows = rows.with_columns(case=pl.coalesce("case", "sample")).select(COLUMNS)
    return rows.filter(pl.col("role").is_not_null(), pl.col("label").is_not_null()).unique(maintain_order=True)
