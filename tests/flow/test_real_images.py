"""Real images, where a folder of them is at hand: official splits, published rows, two knees of one patient."""

import polars as pl
import pytest

from grandrounds import api, tables
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec


@pytest.fixture(scope="module")
def run_floors(real_data, tmp_path_factory):
    """Run two floors on a real archive; the networks' turn is the user's."""

    def run(archive):
        ask = Ask(
            name=archive.split("/")[0],
            data=DataSpec(source=str(real_data / archive)),
            families=("prior", "thumbnail"),
            judge=JudgeSpec(resamples=200),
        )
        return api.run(ask, tmp_path_factory.mktemp(ask.name) / "run")

    return run


def test_breast_ultrasound_runs_on_its_official_split_beside_the_published_row(run_floors):
    """Three seeds by default, the official parts as given, the published ResNet-18 in the report."""
    outcome = run_floors("breastmnist/breastmnist.npz")
    trials = tables.read(tables.TRIALS, outcome.folder / "trials.parquet").frame
    splits = tables.read(tables.SPLITS, outcome.folder / "splits.parquet").frame
    page = outcome.report.read_text(encoding="utf-8")

    assert trials.group_by("family").len()["len"].to_list() == [3, 3]
    assert dict(splits.group_by("role").len().iter_rows()) == {"train": 546, "valid": 78, "test": 156}
    assert ".901" in page
    assert ".863" in page
    assert "assumes independent images" in page


def test_breast_ultrasound_has_one_pair_with_two_labels(run_floors):
    """The audit finds the image that stands in train as malignant and in test as benign."""
    outcome = run_floors("breastmnist/breastmnist.npz")
    findings = tables.read(tables.FINDINGS, outcome.folder / "findings.parquet").frame
    row = findings.filter(pl.col("audit") == "A002").row(0, named=True)

    assert row["outcome"] == "finding"
    assert len(row["rows"]) == 1


def test_both_knees_of_a_patient_stay_together(run_floors):
    """No patient stands in two roles, and every patient brings two knees."""
    outcome = run_floors("knee_oa/knee_oa_64.npz")
    splits = tables.read(tables.SPLITS, outcome.folder / "splits.parquet").frame
    samples = tables.read(tables.SAMPLES, outcome.folder / "samples.parquet").frame
    roles = splits.drop("patient").join(samples.select("case", "patient"), on="case")

    assert roles.group_by("patient").agg(pl.col("role").n_unique())["role"].max() == 1
    assert roles.group_by("patient").len()["len"].unique().to_list() == [2]
    assert set(roles["role"]) == {"train", "valid", "test"}
