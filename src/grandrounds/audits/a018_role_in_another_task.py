"""A018: is a patient who is tested for one task in another role for another task?

A network that reads several tasks learns from a patient whom it is given for any of them. What it knows of her anatomy
then helps where she is tested, and a family that is chosen by the mean over the tasks is chosen on her, too.

Cannot see: patients of train, where the predictions hold none.

Reference: Kaufman et al., ACM Transactions on Knowledge Discovery from Data 6:15 (2012).
"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.tables import patient_keys

_PLACE = ["family", "repeat", "fold", "who"]
_SEEN = ("train", "valid", "calib")


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a patient of test is in another role of the same family and fold in another task."""
    rows, others = tables.predictions, tables.other_tasks
    if rows is None or others is None:
        return not_applicable("no predictions of another task are given")
    if tables.patient_known is False:
        return not_applicable("patients are unknown (A000)")
    tested = _known_by(rows).filter(role="test")
    if tested.is_empty() or not others["role"].is_in(_SEEN).any():
        return not_applicable("no task has predictions of test beside another with other roles")
    seen = _known_by(others).filter(pl.col("role").is_in(_SEEN)).select(*_PLACE, "task", "role").unique()
    both = tested.join(seen, on=_PLACE, suffix="_there", nulls_equal=True)
    n_patients = tested["who"].n_unique()
    if both.is_empty():
        told = "tested patient is" if n_patients == 1 else "tested patients is"
        return Finding("passed", f"None of {n_patients:,} {told} in another role in another task.")
    return Finding(
        "finding",
        f"{both['who'].n_unique():,} of {counted(n_patients, 'tested patient')} are in another role in another task: a "
        "network that reads both learned from them, and what is chosen by the mean over the tasks is chosen on them.",
        _rows(both),
    )


def _known_by(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(who=patient_keys(rows["patient"]), case=pl.coalesce("case", "sample"))


def _rows(both: pl.DataFrame) -> tuple[str, ...]:
    found = both.select("case", "task_there", "role_there").unique().sort("case", "task_there", "role_there")
    return tuple(f"case {case}: {role} in {task}" for case, task, role in found.head(MOST_ROWS).iter_rows())
