"""A009: was a family chosen, stopped early or recalibrated on the very rows that it is tested on?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.placing import at
from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable

_CHOOSING = ("valid", "calib")
_TRIAL = ["family", "repeat", "fold", "seed"]


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a trial predicts the same case as test and as valid or calib."""
    rows = tables.predictions
    if rows is None or not {"sample", "role", "family"} <= set(rows.columns):
        return not_applicable("there is no predictions table with roles")
    absent = [name for name in (*_TRIAL, "case") if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None).alias(name) for name in absent)
    present = set(rows["role"].drop_nulls())
    if "test" not in present or not present & set(_CHOOSING):
        return not_applicable("the predictions have no rows of valid and test both")
    rows = rows.filter(pl.col("role").is_in([*_CHOOSING, "test"])).with_columns(case=pl.coalesce("case", "sample"))
    both = (
        rows.group_by(*_TRIAL, "case", maintain_order=True)
        .agg(pl.col("role").n_unique().alias("n_roles"), (pl.col("role") == "test").any().alias("tested"))
        .filter("tested")
    )
    n_tested, shared = both["case"].n_unique(), both.filter(pl.col("n_roles") > 1)
    if shared.is_empty():
        return Finding("passed", f"No trial tests on what it was chosen on ({counted(n_tested, 'tested case')}).")
    per_trial = (
        both.group_by(_TRIAL, maintain_order=True)
        .agg((pl.col("n_roles") > 1).sum().alias("n_shared"), pl.len().alias("n_tested"))
        .filter(pl.col("n_shared") > 0)
    )
    lines = [
        f"{family}, {at(repeat, fold)}, seed {seed or 0}: {n_shared:,} of {n_all:,} tested cases"
        for family, repeat, fold, seed, n_shared, n_all in per_trial.head(MOST_ROWS).iter_rows()
    ]
    return Finding(
        "finding",
        f"In {counted(per_trial.height, 'trial')} {shared['case'].n_unique():,} of {n_tested:,} tested cases stand in "
        "valid or calib too, which choose the epoch, the threshold and the calibration: the score is that of the "
        "choice, not of new patients.",
        tuple(lines),
    )
