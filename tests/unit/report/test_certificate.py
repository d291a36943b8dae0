"""The leak certificate: what the record holds is said, what it does not hold is not."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import polars as pl
import pytest

from grandrounds.report import ReportContent
from grandrounds.report.blocks import Prose
from grandrounds.report.certificate import certificate
from grandrounds.report.ranked import Ranked

SPLIT = {
    "identity": "6e5e5fb3015fdb04", "seed": 7, "fingerprint": "517daa4d4146b2e6", "leaky": False,
    "spec": {"scheme": "kfold", "folds": 3, "group": "patient"},
}  # fmt: skip
OPENED = {"times": 30, "by trials": 18, "first": "2026-01-02T03:04:05+00:00", "last": "2026-03-04T05:06:07+00:00"}


@pytest.fixture
def certified(content: ReportContent) -> ReportContent:
    passed = content.findings.with_columns(outcome=pl.lit("passed"))
    record = MappingProxyType({"test role opened": OPENED})
    return dataclasses.replace(content, findings=passed, split_record=SPLIT, record=record)


def said(content: ReportContent) -> str:
    """The first paragraph of the certificate."""
    first = certificate(Ranked.of(content)).blocks[0]
    assert isinstance(first, Prose)
    return " ".join(first.sentences)


def spec(**changes: str) -> dict[str, object]:
    """The record of a split with another spec."""
    return SPLIT | {"spec": {"scheme": "kfold", "group": "patient"} | changes}


def test_a_clean_study_is_certified_with_its_evidence(certified: ReportContent) -> None:
    """Claim, hash of the plan, grouping and openings, in one paragraph."""
    text = said(certified)

    assert text.startswith("No patient was both trained on and tested on")
    assert "The split plan 6e5e5fb3015fdb04 divides the cases into 3 folds, drawn from the seed 7" in text
    assert "The ids of 24 patients came with the data, and all cases of a patient were kept together" in text
    assert "30 openings of the test role, by 18 trials" in text
    assert "of this study and any other, from 2026-01-02 to 2026-03-04." in text


def test_unknown_patients_cannot_be_certified(certified: ReportContent) -> None:
    """Where nobody knows who is who, nothing is claimed."""
    text = said(dataclasses.replace(certified, patient_known=False))

    assert "cannot be certified, because the patients are unknown" in text
    assert "No patient was" not in text
    assert "kept together" not in text


def test_a_leaking_split_is_said_to_leak(certified: ReportContent) -> None:
    """Whether the plan says so or the audit does."""
    by_plan = dataclasses.replace(certified, split_record=spec(group="sample") | {"leaky": True})
    caught = certified.findings.with_columns(
        outcome=pl.when(pl.col("audit") == "A001").then(pl.lit("finding")).otherwise("outcome")
    )

    for leaking in (by_plan, dataclasses.replace(certified, findings=caught)):
        assert said(leaking).startswith("This split leaks")
        assert "No patient was" not in said(leaking)
    assert "without regard to them" in said(by_plan)


def test_a_model_that_saw_its_test_patients_is_not_certified(certified: ReportContent) -> None:
    """The split may be clean and a model not; what the model recorded counts."""
    caught = certified.findings.head(1).with_columns(audit=pl.lit("A012"), outcome=pl.lit("finding"))
    text = said(dataclasses.replace(certified, findings=caught))

    assert text.startswith("Models saw patients that they are tested on")
    assert "No patient was" not in text


def test_the_steps_of_building_are_told_for_tripod(certified: ReportContent) -> None:
    """Item 12c wants models, steps and tuning; they stand in the same paragraph."""
    study = '[means]\nbudget_s = 60.0\n[[recipes]]\nfamily = "lbp-svm"\n'

    assert "lbp-svm was trained on the same cases within 60 s" in said(dataclasses.replace(certified, study_toml=study))


def test_other_findings_are_named(certified: ReportContent, content: ReportContent) -> None:
    """Doubles are no straddling patient, but whoever reads the claim should know."""
    assert "Read with it what A002 found." in said(dataclasses.replace(certified, findings=content.findings))


def test_an_official_split_was_not_drawn(certified: ReportContent) -> None:
    """It is used as given and only checked."""
    text = said(dataclasses.replace(certified, split_record=spec(scheme="official")))

    assert "came with the data and was used as given. " in text
    assert "was checked against them" in text


def test_what_is_not_on_record_is_not_certified(content: ReportContent, certified: ReportContent) -> None:
    """No plan, no certificate; no ledger, no number."""
    assert said(content).startswith("No leak certificate can be given")
    assert "is not on record" in said(dataclasses.replace(certified, record={}))
    shut = {"test role opened": {"times": 0, "by trials": 0, "first": None, "last": None}}
    assert "counts no opening" in said(dataclasses.replace(certified, record=shut))
