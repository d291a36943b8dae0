"""A000: does anybody say which images show the same patient?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import AuditTables, Finding, counted, not_applicable


def audit(tables: AuditTables) -> Finding:
    """Return a finding where patients are unknown, a tip where their ids look like names of images."""
    named = tables.samples if tables.samples is not None else tables.predictions
    if tables.patient_known is False:
        return Finding(
            "finding",
            "The data do not say which images show the same patient. Each image counts as a patient of its own: "
            "a patient with several images may stand on two sides of the split, and every interval assumes "
            "independent images.",
        )
    if named is None:
        return not_applicable("there is no samples table and no predictions table")
    people = named.select("sample", "patient").drop_nulls().unique()
    n_patients, n_samples = people["patient"].n_unique(), people["sample"].n_unique()
    if (
        tables.patient_known is None
        and n_samples
        and people.select((pl.col("sample") == pl.col("patient")).all()).item()
    ):
        return Finding(
            "tip",
            f"All {counted(n_samples, 'image')} are named as patients of their own; "
            "if some show the same person, the intervals are too narrow and the split may leak.",
        )
    return Finding("passed", f"Patients are known: {counted(n_patients, 'patient')}, {counted(n_samples, 'image')}.")
