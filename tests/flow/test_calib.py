"""The role calib in a run: set apart, predicted after fitting, used for nothing but recalibration."""

from __future__ import annotations

import shutil
import tomllib

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds import api, tables
from grandrounds.splits import SplitPlan
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means

N_PATIENTS = 240


def written(folder, *, seed=0, changed=(), grey=0):
    """Write one image of stripes a patient and their table; the images of some patients get another grey.

    Args:
        folder: Where.
        seed: Of the noise.
        changed: Patients whose labels are turned round and whose images are moved by `grey`.
        grey: By how much.
    """
    rng, lines = np.random.default_rng(seed), []
    y, x = np.mgrid[:16, :16]
    folder.mkdir(parents=True)
    for patient in range(N_PATIENTS):
        wave = np.sin((y if patient % 2 else x) * (1.2 + 0.5 * (patient % 2)) + rng.uniform(0, 6))
        picture = 128 + 35 * wave + rng.normal(0, 60, y.shape)
        other = patient in changed
        cv2.imwrite(str(folder / f"{patient:03d}.png"), np.clip(picture + grey * other, 0, 255).astype(np.uint8))
        lines.append((f"{patient:03d}.png", ("columns", "rows")[patient % 2 ^ other], f"P{patient:03d}"))
    pl.DataFrame(lines, schema=["image", "label", "patient"], orient="row").write_csv(folder / "table.csv")
    return folder / "table.csv"


def asked(source, **split):
    """A hold-out of two cheap families, with two fifths of train set apart unless said otherwise."""
    return Ask(
        name="stripes", data=DataSpec(source=str(source), names=True), families=("prior", "thumbnail", "lbp-svm"),
        seeds=1, split={"scheme": "holdout", "calib": 0.4} | split, judge=JudgeSpec(resamples=100),
        means=Means(budget_s=20, workers=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with calib."""
    home = tmp_path_factory.mktemp("calib")
    return api.run(asked(written(home / "images")), home / "run").folder


def table(folder, schema):
    return tables.read(schema, folder / f"{schema.name}.parquet").frame


def test_calib_is_predicted_and_recalibrates(finished):
    """Every trial predicts it; calibrators come from it and thresholds from valid, and the page says so."""
    rows = table(finished, tables.PREDICTIONS)
    decisions = table(finished, tables.DECISIONS)
    page = (finished / "report.html").read_text(encoding="utf-8")

    assert rows.filter(role="calib")["patient"].n_unique() >= 50
    assert set(rows.filter(role="calib")["family"]) == {"prior", "thumbnail", "lbp-svm"}
    assert decisions.filter(rule="Youden")["chosen_on"].unique().to_list() == ["valid, recalibrated on calib"]
    assert "recalibrated on calib, whose patients nothing was trained or chosen on" in page
    assert "Of train 40 % were set apart to recalibrate probabilities." in page


def test_no_role_meets_another_and_no_model_saw_calib(finished):
    """The audits count calib among the roles, and among whom a model must not have seen."""
    findings = dict(table(finished, tables.FINDINGS).select("audit", "outcome").iter_rows())
    plan = SplitPlan.load(finished / "splits.parquet")
    people = plan.table.group_by("role").agg("patient")

    assert {findings[code] for code in ("A001", "A009", "A012")} == {"passed"}
    assert set(people["role"]) == {"train", "valid", "calib", "test"}
    assert sum(len(set(one)) for one in people["patient"]) == N_PATIENTS


def test_poisoned_calib_changes_calibration_and_nothing_else(finished, tmp_path):
    """Other images and labels in calib leave every model, every reading of test and every score as they were."""
    plan = SplitPlan.load(finished / "splits.parquet").table
    apart = {int(name[1:]) for name in plan.filter(role="calib")["patient"]}
    source = written(tmp_path / "images", changed=apart, grey=60)
    before = tables.read(tables.SPLITS, finished / "splits.parquet")

    ask = asked(source)
    api.plan(ask, tmp_path / "run")
    _same_split(before, tmp_path / "run")
    api.run(ask, tmp_path / "run")

    for role in ("valid", "test"):
        mine, theirs = (
            table(folder, tables.PREDICTIONS).filter(role=role).sort("family", "sample").drop("trial")
            for folder in (finished, tmp_path / "run")
        )
        assert mine.equals(theirs)
    hashes = [table(folder, tables.TRIALS).sort("family")["fitted_hash"] for folder in (finished, tmp_path / "run")]
    assert hashes[0].equals(hashes[1])
    scores = [table(folder, tables.SCORES) for folder in (finished, tmp_path / "run")]
    assert scores[0].equals(scores[1])
    losses = [
        table(folder, tables.DECISIONS).filter(family="lbp-svm", metric="log_loss", calibration="temperature")[
            "estimate"
        ][0]
        for folder in (finished, tmp_path / "run")
    ]
    assert losses[0] < losses[1]


def _same_split(before, folder):
    """Give a planned run the roles of another, under its own labels and fingerprint."""
    plan = SplitPlan.load(folder / "splits.parquet")
    roles = before.frame.select("case", "repeat", "fold", "role")
    moved = plan.table.drop("role").join(roles, on=["case", "repeat", "fold"])
    SplitPlan(moved, plan.spec, plan.seed, plan.fingerprint, plan.notes).save(folder / "splits.parquet")


def test_a_run_of_an_earlier_version_is_still_finished(finished, tmp_path):
    """A study and a split that know no calib open as they were, and nothing is trained or judged again."""
    home = tmp_path / "home"
    folder = api.run(asked(finished.parent / "images/table.csv", calib="auto"), home).folder
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(
        "".join(line for line in text.splitlines(keepends=True) if not line.startswith("calib"))
    )
    frame, meta = tables.read(tables.SPLITS, folder / "splits.parquet")
    meta["spec"].pop("calib")
    tables.write(frame, tables.SPLITS, folder / "splits.parquet", meta)
    shutil.copytree(folder, tmp_path / "old")

    assert "calib" not in tomllib.loads((folder / "study.toml").read_text())["split"]
    found = api.study_in(tmp_path / "old")
    assert found is not None
    assert not api.run(found[0], tmp_path / "old").did_something
