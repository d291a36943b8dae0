"""A002: do identical pixels have two labels, two patients or two roles?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.tables import shows_something

_KINDS = {"labels": "two labels", "patients": "two patients", "roles": "two roles"}  # gravest first


def audit(tables: AuditTables) -> Finding:
    """Return a finding where identical images disagree, a tip where they only repeat."""
    if tables.samples is None:
        return not_applicable("there is no samples table")
    hashed = tables.samples.filter(pl.col("sha256").is_not_null(), shows_something())
    hashed = hashed.select("sample", "case", "patient", "sha256")
    if hashed.is_empty():
        return not_applicable("no sample that shows anything has a hash of its pixels")
    twins = hashed.filter(pl.len().over("sha256") > 1)
    n_groups = twins["sha256"].n_unique()
    if not n_groups:
        return Finding("passed", f"All {counted(hashed.height, 'image')} are different.")
    judged = _judged(twins, tables)
    grave = judged.filter(pl.any_horizontal(*_KINDS))
    found = f"{counted(n_groups, 'group')} of identical images ({counted(twins.height, 'image')})"
    if grave.is_empty():
        return Finding("tip", f"{found}; in each, label, role and patient agree as far as they are known.")
    counts = [f"{grave[kind].sum():,} with {words}" for kind, words in _KINDS.items() if grave[kind].sum()]
    return Finding("finding", f"{found}: {', '.join(counts)}.", _rows(grave, twins, tables))


def _judged(twins: pl.DataFrame, tables: AuditTables) -> pl.DataFrame:
    """Return the columns `sha256, labels, patients, roles`: in what the images of each group disagree."""
    groups = twins.select("sha256").unique(maintain_order=True)
    disagreeing = {
        "labels": _split_by(twins, tables.labels, "label", ["task"]),
        "patients": twins.filter(pl.col("patient").n_unique().over("sha256") > 1)["sha256"],
        "roles": _split_by(twins, tables.splits, "role", ["repeat", "fold"]),
    }
    if tables.patient_known is False:  # every image is then a patient of its own, which says nothing
        disagreeing["patients"] = twins["sha256"].clear()
    return groups.with_columns(
        pl.col("sha256").is_in(hashes.unique().to_list()).alias(kind) for kind, hashes in disagreeing.items()
    )


def _split_by(twins: pl.DataFrame, by_case: pl.DataFrame | None, value: str, within: list[str]) -> pl.Series:
    """Return the hashes whose images have two values of a column of their cases."""
    if by_case is None:
        return twins["sha256"].clear()
    known = twins.join(by_case.select("case", value, *within), on="case").filter(pl.col(value).is_not_null())
    return known.filter(pl.col(value).n_unique().over("sha256", *within) > 1)["sha256"]


def _rows(grave: pl.DataFrame, twins: pl.DataFrame, tables: AuditTables) -> tuple[str, ...]:
    lines = []
    for row in grave.sort(*_KINDS, descending=True, maintain_order=True).head(MOST_ROWS).iter_rows(named=True):
        members = twins.filter(pl.col("sha256") == row["sha256"]).select("sample", "case").sort("sample").head(4)
        described = [f"{sample}{_facts(case, tables)}" for sample, case in members.iter_rows()]
        n_more = twins.filter(pl.col("sha256") == row["sha256"]).height - members.height
        more = [f"and {n_more} more"] if n_more else []
        lines.append(f"{', '.join(described + more)}: {', '.join(_KINDS[kind] for kind in _KINDS if row[kind])}")
    return tuple(lines)


def _facts(case: str, tables: AuditTables) -> str:
    """Return label and role of a case in brackets; the role only where every fold agrees on it."""
    facts = []
    if tables.labels is not None:
        facts += tables.labels.filter(pl.col("case") == case)["label"].drop_nulls().unique().sort().to_list()
    if tables.splits is not None:
        roles = tables.splits.filter(pl.col("case") == case)["role"].unique().to_list()
        facts += roles if len(roles) == 1 else []
    return f" ({', '.join(facts)})" if facts else ""
