"""A011: has the test role been opened by other trials than those of this run?

The ledger beside the data counts every opening. Each look at test results that is followed by a change of the study
makes the test role serve for selection, whatever it is called.

Cannot see: what somebody did with the results; openings on another machine, or by other programs.

Reference: Recht et al., Do ImageNet classifiers generalize to ImageNet?, ICML (2019), on test sets in long use.
"""

from __future__ import annotations

from grandrounds.audits.protocol import AuditTables, Finding, counted, not_applicable


def audit(tables: AuditTables) -> Finding:
    """Return a finding where more trials opened the test role before than belong to this run, a tip for fewer."""
    if tables.opened is None or tables.trials is None or tables.trials.is_empty():
        return not_applicable("there is no ledger of openings beside these tables")
    n_own = tables.trials["trial"].n_unique()
    n_others = tables.opened - n_own
    if n_others <= 0:
        return Finding("passed", f"Only the {counted(n_own, 'trial')} of this run opened the test role.")
    return Finding(
        "finding" if n_others > n_own else "tip",
        f"{counted(n_others, 'other trial')} opened the test role of these images beside the {n_own:,} of this run: "
        "if anything was changed for what they showed, the test role helped to choose, and its scores are too good.",
    )
