"""Lung masks from a command to a study."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from tests.command import called

from grandrounds import tables

pytest.importorskip("monai", reason="MONAI is not installed")

SET = ("simulated-hrct", "--hrct.n-patients", "8", "--hrct.n-slices", "2")
QUICK = ("--patients", "2", "--sections", "1", "--epochs", "1", "--judged", "3")


def grandrounds(*arguments, cwd, refused=False):
    done = called("grandrounds", *arguments, cwd=cwd)
    assert done.returncode == int(refused), done.stderr
    return done.stderr if refused else done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with masks of a few simulated patients; the U-Net has learned next to nothing."""
    cwd = tmp_path_factory.mktemp("masks")
    said = grandrounds("mask", *SET, *QUICK, "-o", "masks/few", "--json", cwd=cwd)
    return cwd, json.loads(said)


def test_the_command_leaves_a_table_masks_a_model_and_a_picture(made):
    """The artefact names the model that made it and whom that was trained on, and says how good it is."""
    cwd, said = made
    frame, meta = tables.read(tables.MASKS, cwd / "masks/few/masks.parquet")

    assert said["images"] == frame["sha256"].n_unique() == 16
    assert meta["model"] == said["model"]
    assert len(meta["patients"]) == 2
    assert all((cwd / "masks/few" / path).is_file() for path in frame["path"])
    assert [one["what"] for one in said["dice"]] == ["U-Net", "thresholds", "U-Net less thresholds"]
    assert all(one["n_patients"] == 3 and one["low"] <= one["mean"] <= one["high"] for one in said["dice"])
    assert (cwd / "masks/few/look.png").is_file()


def test_the_same_folder_uses_its_model_again(made):
    """What was trained is trained once; other options of training are refused rather than passed over."""
    cwd, said = made
    again = json.loads(grandrounds("mask", *SET, "-o", "masks/few", "--json", cwd=cwd))
    refused = grandrounds("mask", *SET, "-o", "masks/few", "--epochs", "2", cwd=cwd, refused=True)

    assert again["model"] == said["model"]
    assert "has a trained U-Net" in refused


def test_images_that_are_no_ct_are_refused_before_anything_is_trained(made, archive):
    """Grey values without a unit have no lungs in them."""
    refused = grandrounds("mask", str(archive), "-o", "masks/stripes", cwd=made[0], refused=True)

    assert "stored as uint8" in refused
    assert "--hounsfield" in refused
    assert not (made[0] / "masks/stripes/model").exists()


def plan_masked(cwd, run, families):
    """Plan a study whose images are masked, and return its file."""
    grandrounds("plan", *SET, "--families", families, "--scheme", "holdout", "-o", run, cwd=cwd)
    study = cwd / run / "study.toml"
    step = f'[[prepare.whole]]\nstep = "masked"\nmasks = "{cwd / "masks/few"}"\n\n'
    study.write_text(study.read_text().replace("[[prepare.whole]]", step + "[[prepare.whole]]", 1))
    return study


@pytest.fixture(scope="module")
def planned(made):
    """A planned study whose images are masked."""
    return plan_masked(made[0], "runs/masked", "prior,thumbnail")


def test_a_study_reads_what_the_masks_show(made, planned):
    """The step applies the masks to patches of the whole image, and the study runs to its end."""
    cwd, _ = made
    grandrounds("run", "runs/masked", cwd=cwd)

    assert tables.read(tables.PREDICTIONS, cwd / "runs/masked/predictions.parquet").frame.height > 0


def test_a_model_of_masked_images_takes_the_masks_of_another_folder(made):
    """Whoever evaluates or predicts elsewhere has the masks there, of the same U-Net; without them evaluate refuses."""
    cwd, _ = made
    plan_masked(cwd, "runs/ships", "prior,lbp-svm")
    grandrounds("run", "runs/ships", cwd=cwd)
    there = ("simulated-hrct", "--hrct.n-patients", "8", "--hrct.n-slices", "2", "--hrct.seed", "1")
    shutil.copytree(cwd / "masks/few/model", cwd / "masks/there/model")
    grandrounds("mask", *there, "-o", "masks/there", cwd=cwd)
    typed = ("evaluate", "runs/ships", *there, "--namesakes", "-o", "judged")
    refused = grandrounds(*typed, cwd=cwd, refused=True)
    grandrounds(*typed, "--masks", "masks/there", cwd=cwd)
    answered = json.loads(
        grandrounds("predict", "runs/ships", *there, "--masks", "masks/there", "--json", cwd=cwd)
    )  # fmt: skip

    assert "mask" in refused
    assert tables.read(tables.EXTERNAL, cwd / "judged/external.parquet").frame.height > 0
    assert answered
    assert all(one["predicted"] for one in answered)


def test_a_study_is_refused_where_the_model_had_seen_a_patient_of_test(made, planned):
    """Masks that were learned from patients who are tested would carry their lungs into the test."""
    cwd, said = made
    frame = tables.read(tables.MASKS, cwd / "masks/few/masks.parquet").frame
    hashes = tables.patient_hashes(pl.Series([f"SIM-{k:04d}" for k in range(1, 9)]))
    seen = cwd / "masks/seen"
    tables.write(frame, tables.MASKS, seen / "masks.parquet", {"model": said["model"], "patients": list(hashes)})
    study = planned.read_text().replace("masks/few", "masks/seen")
    (cwd / "seen.toml").write_text(study)
    refused = grandrounds("run", "seen.toml", "-o", "runs/seen", cwd=cwd, refused=True)

    assert "patients of valid or test" in refused
