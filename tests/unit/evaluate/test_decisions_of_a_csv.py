"""Decisions where users meet them: a CSV with rows of valid, a page, a table."""

from __future__ import annotations

import polars as pl
import pytest

from grandrounds import api, tables
from grandrounds.evaluate.aims import Aims
from grandrounds.study.spec import JudgeSpec


@pytest.fixture
def csv(predictions, two, tmp_path):
    """Predictions of one family on valid and on test."""
    test = predictions(two, {"ours": 1.5}, n_folds=1)
    valid = predictions(two, {"ours": 1.5}, n_folds=1, seed=1).with_columns(
        *[("v" + pl.col(name)).alias(name) for name in ("sample", "case", "patient")], role=pl.lit("valid")
    )
    path = tmp_path / "predictions.csv"
    pl.concat([test, valid]).drop("task", "trial").write_csv(path)
    return path


def test_a_csv_with_valid_gets_decisions_in_table_and_page(csv):
    """The table is written beside the report, which shows it with the rule that was asked for."""
    page = api.rereport(csv, judge=JudgeSpec(resamples=100, decide=Aims(sensitivity=(0.8,), prevalence=0.05)))
    frame = tables.read(tables.DECISIONS, page.parent / "decisions.parquet").frame
    text = page.read_text(encoding="utf-8")

    assert frame.filter(rule="sensitivity at least 0.8", metric="precision_at_prevalence").height == 1
    assert "What would be decided?" in text
    assert "Sensitivity at least 0.8, malignant" in text
    assert "on valid, cross-fitted by patient" in text
    assert "Accuracy as test is mixed" in text
    assert "what that would be worth at the declared prevalence" in text


def test_a_csv_without_valid_says_why_there_are_none(csv):
    """No section, and a sentence among the notes."""
    pl.read_csv(csv).filter(role="test").write_csv(csv)
    text = api.rereport(csv).read_text(encoding="utf-8")

    assert "What would be decided?" not in text
    assert "no threshold can be set" in text


def test_readers_get_no_threshold(csv):
    """A family that names classes states no probability, and is left out of the decisions."""
    rows = pl.read_csv(csv).filter(role="test")
    readers = rows.select("sample", "label", "patient", "case", family=pl.lit("reader"), decision="label")
    readers.write_csv(csv.with_name("readers.csv"))
    page = api.rereport([csv, csv.with_name("readers.csv")], judge=JudgeSpec(primary="accuracy", resamples=100))
    frame = tables.read(tables.DECISIONS, page.parent / "decisions.parquet").frame

    assert frame["family"].unique().to_list() == ["ours"]


def test_readers_with_valid_rows_do_not_ship(csv):
    """Whoever names classes on valid and on test alike may lead, and what ships is a model."""
    rows = pl.read_csv(csv)
    rows.select("sample", "label", "patient", "case", "role", family=pl.lit("reader"), decision="label").write_csv(
        csv.with_name("readers.csv")
    )
    page = api.rereport([csv, csv.with_name("readers.csv")], judge=JudgeSpec(primary="accuracy", resamples=100))
    text = page.read_text(encoding="utf-8")

    assert "Human readers are compared and never ship" in text
    assert "the cheapest calibrated one ships: <b>ours</b>" in text
