"""`grandrounds audit` on predictions in a CSV and on run folders, finished or not."""

from __future__ import annotations

import json

import polars as pl
import pytest
from tests.command import grandrounds

from grandrounds import api, tables
from grandrounds.errors import BadData


@pytest.fixture
def csv(tmp_path):
    """Predictions of two families, valid and test, in which two patients are on both sides."""
    rows = []
    for family, sure in (("ours", 0.9), ("theirs", 0.6)):
        for k in range(24):
            label = "malignant" if k % 2 else "benign"
            y = sure if label == "malignant" else 1 - sure
            patient = f"p{k % 18}" if k < 20 else f"q{k}"
            rows.append((f"s{k}", patient, label, family, "valid" if k < 8 else "test", 1 - y, y))
    columns = ["sample", "patient", "label", "family", "role", "prob_benign", "prob_malignant"]
    path = tmp_path / "predictions.csv"
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(path)
    return path


def outcomes(findings):
    """Audit to outcome."""
    return dict(findings.select("audit", "outcome").iter_rows())


def test_a_csv_is_audited_as_far_as_it_goes(csv):
    """Roles, patients and comparisons are there; pixels, trials and floors are not, and each says so."""
    findings = api.audit(csv)
    found = outcomes(findings)

    assert found["A001"] == "finding"
    assert {found[code] for code in ("A003", "A004", "A009")} == {"passed"}
    assert found["A008"] in {"passed", "finding"}
    assert {found[code] for code in ("A002", "A005", "A007", "A010")} == {"not applicable"}
    why = dict(findings.select("audit", "sentence").iter_rows())
    assert why["A007"] == "Not applicable: there is no trials table."


def test_a_csv_that_cannot_be_judged_is_still_audited(csv):
    """Without a row of test there are no scores; the roles can be looked at."""
    frame = pl.read_csv(csv).filter(role="valid").with_columns(role=pl.lit("train"))
    frame.write_csv(csv)
    found = outcomes(api.audit(csv))

    assert found["A005"] == "not applicable"
    assert found["A003"] == "passed"


def test_the_command_prints_findings_first_and_exits_with_0(csv):
    """Audits report, they never stop anything; JSON is for programs."""
    said = grandrounds("audit", csv)
    listed = json.loads(grandrounds("audit", csv, "--json"))

    assert said.startswith("A001 Patient on two sides: finding.")
    assert f"{len(listed)} audits: finding" in said
    assert {row["audit"]: row["outcome"] for row in listed} == outcomes(api.audit(csv))


def test_an_unfinished_run_is_audited_from_the_tables_it_has(tmp_path):
    """Nothing was trained yet; who is who can be looked at already."""
    samples = pl.DataFrame({"sample": ["a", "b"], "case": ["a", "b"], "patient": ["p", "p"], "sha256": ["1", "1"]})
    splits = pl.DataFrame({"case": ["a", "b"], "repeat": 0, "fold": 0, "role": ["train", "test"]})
    task = {"kind": "binary", "classes": ["x", "y"]}
    meta = {"task": task, "patient_known": True}
    tables.write(samples, tables.SAMPLES, tmp_path / "samples.parquet", meta)
    tables.write(splits, tables.SPLITS, tmp_path / "splits.parquet")
    found = outcomes(api.audit(tmp_path))

    assert (found["A001"], found["A002"]) == ("finding", "finding")
    assert found["A005"] == "not applicable"


def test_another_folder_is_refused(tmp_path):
    """The message says what would do."""
    with pytest.raises(BadData, match="give the folder of a run"):
        api.audit(tmp_path)


def test_each_of_several_tasks_is_audited_and_a_finding_names_its_task(csv):
    """A patient on two sides of one task, a miscalibrated other one, a patient who changes sides between the two."""
    frame = pl.read_csv(csv).with_columns(task=pl.lit("acl"))
    clean = frame.filter(~pl.col("patient").is_in(["p0", "p1"])).with_columns(task=pl.lit("meniscus"))
    clean = clean.with_columns(role=pl.when(pl.col("patient") == "q22").then(pl.lit("valid")).otherwise("role"))
    pl.concat([frame, clean]).write_csv(csv)
    findings = api.audit(csv)
    found = {(task, audit): told for task, audit, told in findings.select("task", "audit", "outcome").iter_rows()}

    assert (found["acl", "A001"], found["meniscus", "A001"]) == ("finding", "passed")
    assert (found["acl", "A018"], found["meniscus", "A018"]) == ("finding", "passed")
    rows = findings.filter(task="acl", audit="A018")["rows"].item().to_list()
    assert rows == ["case s22: valid in meniscus"]
    said = grandrounds("audit", csv)
    assert said.startswith("acl, A001 Patient on two sides: finding.")
    assert f"{len(found)} audits of 2 tasks: finding" in said
