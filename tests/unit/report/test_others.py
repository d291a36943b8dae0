"""`grandrounds report` on other people's predictions gives the page that a study gets, with audits and a record."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.command import called

from grandrounds import api, tables
from grandrounds.errors import BadSpec
from grandrounds.evaluate.columns import Columns
from grandrounds.study.spec import JudgeSpec

QUICK = JudgeSpec(resamples=100)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Predictions of two models under the names of another program."""
    draw = np.random.default_rng(1)
    sick = np.arange(60) % 3 == 0
    frames = [
        pl.DataFrame({
            "id": [f"i{k}" for k in range(60)], "truth": np.where(sick, "ill", "well"),
            "who": [f"p{k // 2}" for k in range(60)], "net": name,
            "score": np.clip(0.4 + gain * sick + draw.normal(0, 0.2, 60), 0, 1),
        })
        for name, gain in (("first", 0.3), ("second", 0.1))
    ]  # fmt: skip
    pl.concat(frames).write_csv(tmp_path / "theirs.csv")
    return tmp_path / "theirs.csv"


THEIRS = Columns(sample="id", label="truth", patient="who", family="net", prob=("ill=score",), positive="ill")


def test_the_page_has_audits_and_a_record(csv: Path, tmp_path: Path) -> None:
    """Findings, the file's hash, versions and every table lie there."""
    page = api.rereport(csv, tmp_path / "out", columns=THEIRS, judge=QUICK).read_text(encoding="utf-8")
    findings = tables.read(tables.FINDINGS, tmp_path / "out/findings.parquet").frame

    assert "What the audits found" in page
    assert "A017" in set(findings.filter(pl.col("outcome") == "tip")["audit"])
    assert hashlib.sha256(csv.read_bytes()).hexdigest() in page
    assert "theirs: which family reads it best?" in page
    assert "torch" not in page  # installed perhaps, and it had no part in this
    scores = tables.read(tables.SCORES, tmp_path / "out/scores.parquet").frame
    assert set(scores["family"]) == {"first", "second"}


def test_flags_of_the_command_reach_the_judge(csv: Path) -> None:
    """Columns, metric, margin and draws are named on the command line."""
    arguments = [
        "report", str(csv), "-o", str(csv.parent / "by-flags"), "--sample", "id", "--label", "truth", "--patient",
        "who", "--family", "net", "--prob", "ill=score", "--positive", "ill", "--primary", "brier", "--margin", "0.05",
        "--resamples", "100",
    ]  # fmt: skip
    done = called("grandrounds", *arguments)

    assert done.returncode == 0, done.stderr
    page = (csv.parent / "by-flags/report.html").read_text(encoding="utf-8")
    assert "Brier score, margin 0.05" in page
    told = " ".join(done.stdout.split())
    assert "On the primary metric (Brier score)" in told
    assert "Report: " in told
    assert "fit s" not in told  # nobody knows what these families cost


def test_audits_read_the_same_columns(csv: Path) -> None:
    """The verb for audits alone takes the flags too."""
    arguments = ["audit", str(csv), "--sample", "id", "--label", "truth", "--patient", "who", "--family", "net",
                 "--prob", "ill=score", "--resamples", "100", "--json"]  # fmt: skip
    done = called("grandrounds", *arguments)

    assert {row["audit"]: row["outcome"] for row in json.loads(done.stdout)}["A000"] == "passed"


def test_a_run_folder_brings_its_own_columns(tmp_path: Path, csv: Path) -> None:
    """Options that would be without effect are refused."""
    with pytest.raises(BadSpec, match="a run folder stands alone"):
        api.rereport([tmp_path, csv])
    with pytest.raises(BadSpec, match="a run folder stands alone"):
        api.audit(tmp_path, columns=THEIRS)


def test_readers_of_three_classes_are_compared_one_by_one(tmp_path: Path) -> None:
    """Decisions among three classes have no analysis over readers, and the page says so."""
    draw = np.random.default_rng(0)
    label = draw.choice(["a", "b", "c"], 45)
    rows = [
        pl.DataFrame({"sample": [f"s{k}" for k in range(45)], "label": label, "reader": name,
                      "decision": np.where(draw.random(45) < right, label, "a")})
        for name, right in (("R1", 0.6), ("R2", 0.8))
    ]  # fmt: skip
    pl.concat(rows).write_csv(tmp_path / "decided.csv")
    page = api.rereport(tmp_path / "decided.csv", judge=QUICK).read_text(encoding="utf-8")

    assert "only two classes can be compared" in page
    assert "Readers and models" not in page
    assert "a decision is not a probability" in page
