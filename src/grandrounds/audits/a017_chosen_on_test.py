"""A017: was a rule or a family chosen by the very role that it is judged on?

A primary metric or a margin that was changed when test had been judged already was declared by somebody who may have
seen what it makes of the answer. A threshold or a recalibration that was set on test is judged on what it was fitted
to. And where there is no valid role, the best of several families can only be picked by its test score, which is then
too good by the luck of the pick.

Cannot see: a choice that was made before the tables were written.

Reference: Cawley & Talbot, Journal of Machine Learning Research 11:2079 (2010), on over-fitting in model selection.
"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable

_JUDGED = "test"


def audit(tables: AuditTables) -> Finding:
    """Return a finding where what decides or a rule was set with test in sight, a tip where only test tells."""
    if len(tables.declared) > 1:
        return Finding(
            "finding",
            "The primary metric or the margin was changed when the test role had been judged already; the first was "
            f"declared before: {_told(*tables.declared[0])}. The answer by the last may have been chosen.",
            tuple(_told(*one) for one in tables.declared[:MOST_ROWS]),
        )
    rules, rows = tables.decisions, tables.predictions
    if rules is None and (rows is None or not {"family", "role"} <= set(rows.columns)):
        return not_applicable("there are neither decisions nor predictions with roles")
    fitted = [] if rules is None else _set_on_test(rules)
    if fitted:
        return Finding(
            "finding",
            f"{counted(len(fitted), 'rule')} {'were' if len(fitted) > 1 else 'was'} set on test and judged there: what "
            "is shown for it is its fit, not what it does for new patients.",
            tuple(fitted[:MOST_ROWS]),
        )
    unchosen = [] if rows is None else _without_valid(rows, tables.floors)
    if len(unchosen) > 1:
        return Finding(
            "tip",
            f"Only test tells {len(unchosen):,} families apart, since they have no predictions of valid: the best by "
            "these scores is picked on test, and its own score is too good.",
        )
    return Finding("passed", "Nothing was chosen by the role that it is judged on.")


def _told(primary: str, margin: float) -> str:
    return f"{primary}, margin {margin:g}"


def _set_on_test(rules: pl.DataFrame) -> list[str]:
    """Return family and rule of each that was set on the judged role."""
    found = rules.filter(pl.col("chosen_on").str.starts_with(_JUDGED)).select("family", "rule", "calibration")
    return [
        f"{family}: {rule}" + (f", recalibrated ({how})" if how not in (None, "none") else "")
        for family, rule, how in found.unique(maintain_order=True).iter_rows()
    ]


def _without_valid(rows: pl.DataFrame, floors: tuple[str, ...]) -> list[str]:
    """Return the contenders that are tested and have nothing that they could be chosen by."""
    contenders = rows.filter(~pl.col("family").is_in(floors))
    tested = contenders.filter(pl.col("role") == _JUDGED)["family"].unique(maintain_order=True).to_list()
    chosen = set(contenders.filter(pl.col("role") == "valid")["family"])
    return [family for family in tested if family not in chosen]
