"""A015: is the positive class as frequent in the test role as where the model is to be used?

Sensitivity, specificity and the area under the ROC curve do not depend on how frequent a class is; predictive values,
accuracy and calibration do. The share among the tested cases is compared with the prevalence that the study declares.

Assumes: patients are independent; the error of the share is that of a ratio of sums over patients.

Reference: Park, Radiology 267:581 (2013) on spectrum and prevalence; Cochran, Sampling Techniques, 3rd ed., §6.
"""

from __future__ import annotations

import math

import polars as pl

from grandrounds.audits.placing import by_unit, placed
from grandrounds.audits.protocol import AuditTables, Finding, not_applicable
from grandrounds.audits.standing import standing
from grandrounds.evaluate.catalogue import positive_of
from grandrounds.wording import percent

_SURE = 1.96


def audit(tables: AuditTables) -> Finding:
    """Return a finding where the declared prevalence lies outside the interval of that of the tested cases."""
    if tables.prevalence is None:
        return not_applicable("the study declares no prevalence")
    positive = positive_of(tables.task) if tables.task is not None else None
    cases, stand = placed(tables), standing(tables)
    if positive is None or cases is None or tables.task is None:
        return not_applicable("there are no labels of two classes in roles")
    tested = cases.filter(pl.col("role").is_in(["test", "external"])).unique("case", keep="first", maintain_order=True)
    if tested.is_empty():
        return not_applicable("there are no tested cases")
    unit = "patient" if stand is not None and stand.unit == "patient" else "case"
    share, error = _share(by_unit(tested, unit, tables.task), positive)
    low, high = max(0.0, share - _SURE * error), min(1.0, share + _SURE * error)
    words = f"{percent(share, 1)} of the tested {unit}s are {positive} ({percent(low, 1)} to {percent(high, 1)}), "
    words += f"declared are {percent(tables.prevalence, 1)}"
    if low <= tables.prevalence <= high:
        return Finding("passed", f"The test role fits the declared prevalence: {words}.")
    return Finding(
        "finding",
        f"The test role is unlike the place of use: {words}. Predictive values and accuracy do not carry over; use "
        "those that are weighed to the declared prevalence.",
    )


def _share(tested: pl.DataFrame, positive: str) -> tuple[float, float]:
    """Return the share of positive cases and its standard error over patients; at least that of one case."""
    patients = tested.with_columns(patient=pl.coalesce("patient", "case")).group_by("patient").agg(
        k=(pl.col("label") == positive).sum(), n=pl.len()
    )  # fmt: skip
    n_cases, n_patients = tested.height, patients.height
    share = float(patients["k"].sum()) / n_cases
    residual = patients["k"].cast(pl.Float64()) - share * patients["n"].cast(pl.Float64())
    spread = float((residual**2).sum()) * n_patients / max(1, n_patients - 1)
    return share, max(math.sqrt(spread) / n_cases, 0.5 / n_patients)
