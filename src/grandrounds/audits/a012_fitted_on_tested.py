"""A012: was a model fitted on, or stopped early by, a patient that it is tested or recalibrated on?

Every fitted model records whose pixels it saw, as hashes. They are compared with the patients whose rows of test
and calib it predicts, so that the evidence comes from the model and not from the split that it was meant to follow.

Cannot see: a family that records less than it read. The conformance tests of families show that poisoning the test
role leaves the fitted state as it was, bit for bit; a family from elsewhere has to pass them too.
"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.tables import patient_hashes


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a trial saw a patient that it tests or recalibrates on."""
    rows = tables.predictions
    if not tables.fitted_on or rows is None or not {"trial", "patient", "role"} <= set(rows.columns):
        return not_applicable("no fitted model says whose images it saw")
    tested = (
        rows.filter(pl.col("role").is_in(["test", "calib"]), pl.col("patient").is_not_null())
        .select("trial", "patient")
        .unique()
    )
    if tested.is_empty():
        return not_applicable("the predictions name no tested patient")
    tested = tested.with_columns(hash=patient_hashes(tested["patient"]))
    lines = []
    for (trial,), part in tested.group_by("trial", maintain_order=True):
        shared = part.filter(pl.col("hash").is_in(list(tables.fitted_on.get(str(trial), ()))))
        if shared.height:
            lines.append(f"{trial}: {counted(shared.height, 'patient')} of {part.height:,} tested")
    n_trials = tested["trial"].n_unique()
    if not lines and tables.patient_known is False:
        return not_applicable("patients are unknown (A000); no model saw an image that it is tested on")
    if not lines:
        return Finding(
            "passed", f"None of {counted(n_trials, 'model')} saw a patient that it is tested or recalibrated on."
        )
    return Finding(
        "finding",
        f"{len(lines):,} of {counted(n_trials, 'model')} saw patients that they are tested or recalibrated on: "
        "what is shown for them does not hold for new patients.",
        tuple(lines[:MOST_ROWS]),
    )
