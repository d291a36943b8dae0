"""What every audit must do, for each entry of the registry: find what is planted, be silent on clean tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl
import pytest

from grandrounds import audits, tables
from grandrounds.audits import AuditTables

DOCS = Path(__file__).parents[2] / "docs"


def clean():
    """Three patients with two different images each, on one side of the split each."""
    frame = pl.DataFrame(
        {
            "sample": [f"s{k}" for k in range(6)],
            "case": [f"c{k}" for k in range(6)],
            "patient": ["p", "p", "q", "q", "r", "r"],
            "sha256": [f"hash {k}" for k in range(6)],
            "label": ["x", "x", "y", "y", "x", "x"],
            "role": ["train", "train", "train", "train", "test", "test"],
        }
    ).with_columns(task=pl.lit("label"), repeat=0, fold=0)
    return AuditTables(
        samples=tables.check(frame.drop("label", "role", "task", "repeat", "fold"), tables.SAMPLES),
        labels=tables.check(frame.select("case", "task", "label"), tables.LABELS),
        splits=tables.check(frame.select("case", "repeat", "fold", "role"), tables.SPLITS),
        patient_known=True,
    )


def changed(column, value, sample="s5"):
    """The clean tables with one value of the samples table changed."""
    given = clean()
    column = pl.when(pl.col("sample") == sample).then(pl.lit(value)).otherwise(column).alias(column)
    return dataclasses.replace(given, samples=given.samples.with_columns(column))


# A new audit adds what it is meant to find.
PLANTED = {
    "A000": lambda: dataclasses.replace(clean(), patient_known=False),
    "A001": lambda: changed("patient", "p"),
    "A002": lambda: changed("sha256", "hash 0"),
}

every_audit = pytest.mark.parametrize("code", audits.AUDITS.names())


def outcome(code, given):
    return audits.run(given).filter(audit=code).row(0, named=True)


@every_audit
def test_an_audit_finds_what_is_planted(code):
    """One fault, one finding, in words."""
    row = outcome(code, PLANTED[code]())

    assert row["outcome"] == "finding"
    assert row["sentence"].endswith(".")
    assert len(row["rows"]) <= 20


@every_audit
def test_an_audit_is_silent_on_clean_tables(code):
    """Nothing to find means passed."""
    assert outcome(code, clean())["outcome"] == "passed"


@every_audit
def test_an_audit_without_its_tables_is_not_applicable(code):
    """It says what is missing and raises nothing."""
    row = outcome(code, AuditTables())

    assert row["outcome"] == "not applicable"
    assert row["sentence"].startswith("Not applicable: ")


@every_audit
@pytest.mark.parametrize("name", ["samples", "labels", "splits"])
def test_an_audit_copes_with_a_missing_or_empty_table(code, name):
    """Any table may be absent or have no rows."""
    given = clean()
    for table in (None, getattr(given, name).clear()):
        assert outcome(code, dataclasses.replace(given, **{name: table}))["outcome"] in {"passed", "not applicable"}


@every_audit
def test_an_audit_changes_no_table_and_repeats_itself(code):
    """Auditing twice gives the same answer."""
    given = PLANTED[code]()
    before = given.samples.clone()

    assert outcome(code, given) == outcome(code, given)
    assert given.samples.equals(before)


@every_audit
def test_an_audit_has_a_page(code):
    """The page starts with the number and the title of the audit."""
    entry = audits.AUDITS.get(code)

    assert (DOCS / entry.docs).read_text(encoding="utf-8").startswith(f"# {code}: {entry.title}\n")
