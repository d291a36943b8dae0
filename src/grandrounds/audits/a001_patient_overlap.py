"""A001: does a patient stand on two sides of one fold?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.tables import patient_numbers, straddling

_FOLD = ["repeat", "fold"]


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a patient has two roles in one fold."""
    if tables.patient_known is False:
        return not_applicable("patients are unknown (A000)")
    placed = _placed(tables)
    if placed is None:
        return not_applicable("there is neither a split with patients nor a predictions table with roles")
    if placed["role"].n_unique() < 2:
        return not_applicable("only one role is known")
    placed = placed.with_columns(who=patient_numbers(placed["patient"]))
    torn = straddling(placed)
    n_patients = placed["who"].n_unique()
    if torn.is_empty():
        return Finding("passed", f"None of {counted(n_patients, 'patient')} stands in two roles of one fold.")
    n_caught = torn["who"].n_unique()
    return Finding(
        "finding",
        f"{n_caught:,} of {counted(n_patients, 'patient')} {'stands' if n_caught == 1 else 'stand'} in two roles of "
        "one fold: what was learned from them, or chosen on them, is asked of them again. The scores may be too good.",
        _rows(torn),
    )


def _placed(tables: AuditTables) -> pl.DataFrame | None:
    """Return who stands where: columns `repeat, fold, role, case, patient`."""
    columns = [*_FOLD, "role", "case", "patient"]
    if tables.splits is not None and tables.samples is not None:
        people = tables.samples.select("case", "patient").unique()
        return tables.splits.select(*_FOLD, "role", "case").join(people, on="case").select(columns)
    if tables.splits is not None and "patient" in tables.splits.columns:
        return tables.splits.select(columns)
    if tables.predictions is not None and {"role", "patient"} <= set(tables.predictions.columns):
        known = [name for name in columns if name in tables.predictions.columns]
        absent = [pl.lit(None).alias(name) for name in columns if name not in known]
        placed = tables.predictions.with_columns(absent).with_columns(case=pl.coalesce("case", "sample"))
        placed = placed.select(columns).filter(pl.col("role").is_not_null(), pl.col("patient").is_not_null()).unique()
        return None if placed.is_empty() else placed
    return None


def _rows(torn: pl.DataFrame) -> tuple[str, ...]:
    groups = (
        torn.sort("case")
        .group_by(*_FOLD, "who", maintain_order=True)
        .agg("case", "role")
        .sort(*_FOLD, maintain_order=True)
        .head(MOST_ROWS)
    )
    lines = []
    for repeat, fold, _, cases, roles in groups.iter_rows():
        where = "" if fold is None else f"repeat {repeat}, fold {fold}: "
        first = {role: next(case for case, one in zip(cases, roles, strict=True) if one == role) for role in set(roles)}
        lines.append(where + ", ".join(f"case {first[role]} in {role}" for role in sorted(first)))
    return tuple(lines)
