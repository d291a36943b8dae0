"""Run every audit and write down what it answers; a finding never stops a run."""

from __future__ import annotations

import polars as pl

from grandrounds import registry, tables
from grandrounds.audits.catalogue import AUDITS
from grandrounds.audits.protocol import Audit, AuditEntry, AuditTables, not_applicable
from grandrounds.errors import Refusal


def run(inputs: AuditTables) -> pl.DataFrame:
    """Return the table `findings`, one row an audit, in the order of their numbers."""
    rows = [_row(entry, inputs) for entry in AUDITS]
    return tables.check(pl.DataFrame(rows, schema=dict(tables.FINDINGS.columns)), tables.FINDINGS)


def _row(entry: AuditEntry, inputs: AuditTables) -> dict[str, object]:
    audit: Audit = registry.load(entry.run)
    try:
        finding = audit(inputs)
    except Refusal as error:
        finding = not_applicable(f"the tables cannot be audited ({error.what})")
    return {
        "audit": entry.name,
        "title": entry.title,
        "outcome": finding.outcome,
        "sentence": finding.sentence,
        "rows": list(finding.rows),
    }
