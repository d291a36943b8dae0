"""From images to a report and back again: resume, refusal, prediction, through the command line as a user would."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
from tests.command import grandrounds

from grandrounds import tables
from grandrounds.cores import processors

QUICK = ["--families", "prior,metadata,thumbnail,lbp-svm", "--resamples", "200", "--budget", "20s"]


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    """A finished run of three cheap families."""
    folder = tmp_path_factory.mktemp("flow")
    said = grandrounds("run", archive, "-o", "runs/stripes", *QUICK, cwd=folder)
    return folder, folder / "runs/stripes", said


def write_classes(folder):
    """Write 16 small images of each of two classes, a folder a class."""
    from PIL import Image as Picture

    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for k in range(16):
            grey = rng.integers(0, 120, (16, 16)) + (100 if label == "b" else 0)
            Picture.fromarray(grey.astype(np.uint8)).save(folder / label / f"{k}.png")


def test_a_run_leaves_every_table_and_a_report(finished):
    """The run folder is the record."""
    _, run, said = finished
    for name in ("samples", "files", "labels", "splits", "predictions", "scores", "comparisons", "trials", "findings"):
        assert tables.read(tables.SCHEMAS[name], run / f"{name}.parquet").frame.height > 0
    assert (run / "study.toml").exists()
    assert (run / "report.html").stat().st_size < 3_000_000
    assert "Price" in said
    assert said.index("Price") < said.index("lbp-svm, repeat 0")
    assert "report.html" in said


def test_a_run_says_how_many_trials_stood_side_by_side(finished):
    """As measured, one thread each and one trial a core, in the study that was run and beside what each trial took."""
    means = tomllib.loads((finished[1] / "study.toml").read_text(encoding="utf-8"))["means"]
    trials = tables.read(tables.TRIALS, finished[1] / "trials.parquet").frame

    assert (means["workers"], means["threads"]) == (processors(), 1)
    assert trials["threads"].unique().to_list() == [1]
    assert trials.filter(status="done")["fit_s"].min() > 0


def test_every_family_is_tested_on_the_same_rows(finished):
    """The comparison is fair because nobody gets other cases."""
    predictions = tables.read(tables.PREDICTIONS, finished[1] / "predictions.parquet").frame
    rows = predictions.group_by("family").agg(pl.struct("role", "sample").sort())["role"].to_list()

    assert all(one == rows[0] for one in rows)


def test_a_family_with_nothing_to_read_is_said_to_be_not_applicable(finished):
    """The archive has no clinical columns; the study goes on without the metadata floor and says so."""
    trials = tables.read(tables.TRIALS, finished[1] / "trials.parquet").frame.filter(family="metadata")

    assert trials["status"].unique().to_list() == ["not applicable"]
    assert "not applicable" in (finished[1] / "report.html").read_text(encoding="utf-8")


def test_a_second_run_does_nothing(finished):
    """A finished study is left alone, byte for byte."""
    folder, run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    said = grandrounds("run", run, cwd=folder)

    assert "nothing was trained" in said
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_data_that_changed_after_a_study_are_no_longer_its_own(archive, tmp_path):
    """A file that was touched is read again; where labels differ the old answer is not given as the answer to these."""
    shutil.copy(archive, tmp_path / "stripes.npz")
    asked = ["run", "stripes.npz", "-o", "runs/mine", "--families", "prior", "--resamples", "200"]
    grandrounds(*asked, cwd=tmp_path)
    os.utime(tmp_path / "stripes.npz", (time.time() + 5, time.time() + 5))
    assert "nothing was trained" in grandrounds(*asked, cwd=tmp_path)

    with np.load(archive) as arrays:
        changed = {name: arrays[name] for name in arrays}
    changed["train_labels"] = 1 - changed["train_labels"]
    np.savez(tmp_path / "stripes.npz", **changed)
    os.utime(tmp_path / "stripes.npz", (time.time() + 60, time.time() + 60))
    refused = grandrounds(*asked, cwd=tmp_path, check=1)

    assert "images, labels or patients have changed" in " ".join(refused.split())
    assert "nothing was trained" in grandrounds("run", "runs/mine", cwd=tmp_path)  # the study itself is still there


def test_what_a_study_leaves_beside_its_images_does_not_touch_them(tmp_path):
    """The ledger and the key lie beside the images; a finished study is not opened again for them."""
    write_classes(tmp_path / "set")
    asked = ["run", "set", "-o", "runs/mine", "--families", "prior", "--resamples", "200", "--folds", "2"]
    grandrounds(*asked, cwd=tmp_path)
    read = (tmp_path / "runs/mine/labels.parquet").stat().st_mtime_ns
    assert "nothing was trained" in grandrounds(*asked, cwd=tmp_path)

    assert (tmp_path / "runs/mine/labels.parquet").stat().st_mtime_ns == read


def test_json_has_what_the_audits_found(archive, tmp_path):
    """A script that reads the answer also reads what speaks against it, as the table `findings` has it."""
    with np.load(archive) as arrays:  # images that name no patient are always a finding
        np.savez(tmp_path / "unnamed.npz", **{name: arrays[name] for name in arrays if "patient" not in name})
    run = tmp_path / "unnamed"
    grandrounds("run", tmp_path / "unnamed.npz", "-o", run, "--families", "prior", "--resamples", "200", cwd=tmp_path)
    table = tables.read(tables.FINDINGS, run / "findings.parquet").frame.filter(outcome="finding")
    said = json.loads(grandrounds("run", run, "--json", cwd=tmp_path))

    assert not said["did_something"]
    assert said["findings"] == table.sort("audit").select("audit", "title", "sentence").to_dicts()
    assert "Patients unknown" in [finding["title"] for finding in said["findings"]]


def test_another_request_for_the_same_folder_is_refused(finished, archive):
    """A folder holds one study."""
    folder, run, _ = finished
    said = grandrounds("run", archive, "-o", run, *QUICK, "--seeds", "2", cwd=folder, check=1)

    assert "seeds" in said
    assert "choose another folder" in said


def test_the_model_predicts_new_images(finished, archive):
    """One row an image, probabilities that sum to one, and better than guessing."""
    folder, run, _ = finished
    grandrounds("predict", run, archive, "-o", "new.csv", cwd=folder)
    frame = pl.read_csv(folder / "new.csv")
    probs = frame.select(pl.col("^prob_.*$")).to_numpy()

    assert frame.height == 160
    assert np.allclose(probs.sum(axis=1), 1)
    assert frame["refused"].null_count() == frame.height


def test_the_model_brings_its_card(finished):
    """What ships says in words what it is, what it learned from, how good it is and what it calls from where."""
    card = (finished[1] / "model" / "card.md").read_text(encoding="utf-8")

    for heading in ("What it is for", "What it learned from", "How good it is", "From where on it calls", "Licences"):
        assert f"## {heading}" in card
    assert "160 images" in card
    assert "What ships in model/ is the mean of" in card


def test_a_changed_model_file_is_refused(finished, tmp_path):
    """A bundle is what was saved or nothing."""
    import shutil

    shutil.copytree(finished[1] / "model", tmp_path / "model")
    victim = next(path for path in sorted((tmp_path / "model").rglob("*.json")) if path.name != "bundle.json")
    victim.write_bytes(victim.read_bytes() + b" ")
    said = grandrounds("predict", "model", "model", cwd=tmp_path, check=1)

    assert "not what was saved" in said


def test_report_is_written_again_from_tables(finished):
    """The report needs the run folder alone."""
    folder, run, _ = finished
    grandrounds("report", run, "-o", "again", cwd=folder)

    assert (folder / "again/report.html").exists()


def test_a_value_out_of_bounds_names_its_option(tmp_path):
    """In the words of the command line, and not of a library."""
    said = grandrounds("inspect", "simulated-knee", "--knee.n-exams", "4", cwd=tmp_path, check=2)
    assert "--knee.n-exams: input should be greater than or equal to 8" in " ".join(said.split())
    assert "pydantic" not in said


def test_an_unknown_option_is_wrong_usage(tmp_path):
    """Usage errors exit with 2."""
    assert "--budgett" in grandrounds("run", "x", "--budgett", "5m", cwd=tmp_path, check=2)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "nothing-here"], "no such file"),
        (["run", "ARCHIVE", "--budget", "soon"], "not a time"),
        (["run", "ARCHIVE", "--families", "resnett-18"], "did you mean 'resnet-18'"),
        (["run", "missing.toml"], "no such study"),
        (["report", "nothing.csv"], "nothing.csv"),
        (["predict", "nowhere", "x.png"], "no model"),
    ],
)
def test_refusals_are_one_message(arguments, complaint, archive, tmp_path):
    """Exit 1 with what, where and what to do, and never a traceback."""
    words = [str(archive) if word == "ARCHIVE" else word for word in arguments]
    said = grandrounds(*words, cwd=tmp_path, check=1)

    assert complaint in said
    assert "Traceback" not in said


def test_a_misspelt_key_in_a_study_is_named(finished, tmp_path):
    """The study file is strict."""
    text = (finished[1] / "study.toml").read_text()
    (tmp_path / "study.toml").write_text(text.replace("resamples", "resample"))

    assert "did you mean 'resamples'" in grandrounds("run", "study.toml", cwd=tmp_path, check=1)


def test_a_study_file_from_elsewhere_runs_under_its_own_name(finished, tmp_path):
    """A file that lies in no run folder is a recipe for one."""
    (tmp_path / "mine.toml").write_text((finished[1] / "study.toml").read_text())
    grandrounds("run", "mine.toml", cwd=tmp_path)

    assert (tmp_path / "runs/stripes/report.html").exists()


def test_a_planned_study_goes_on_with_fewer_workers(archive, tmp_path):
    """As the errors advise where memory ran out; what was planned stays, and nothing else can be changed so."""
    grandrounds("plan", archive, "-o", "planned", *QUICK, "--workers", "2", cwd=tmp_path)
    before = tomllib.loads((tmp_path / "planned/study.toml").read_text())

    said = grandrounds("run", "planned", "--workers", "1", "--seeds", "5", cwd=tmp_path, check=1)
    assert "a planned study brings its own options" in said
    said = grandrounds("run", "planned", "--budget", "20m", cwd=tmp_path, check=1)  # as by default
    assert "a planned study brings its own options" in said
    grandrounds("run", "planned", "--workers", "1", cwd=tmp_path)

    assert (tmp_path / "planned/report.html").exists()
    assert tomllib.loads((tmp_path / "planned/study.toml").read_text()) == before


def test_bad_images_stop_a_run_until_told_otherwise(tmp_path):
    """The report's n is the n trained."""
    write_classes(tmp_path / "set")
    (tmp_path / "set/a/3.png").write_bytes((tmp_path / "set/a/3.png").read_bytes()[:60])
    families = ["--families", "prior,thumbnail", "--resamples", "100", "--folds", "2"]

    assert "--skip-bad" in grandrounds("run", "set", *families, cwd=tmp_path, check=1)
    assert "3.png" in grandrounds("inspect", "set", cwd=tmp_path)
    grandrounds("run", "set", *families, "--skip-bad", cwd=tmp_path)
    predictions = tables.read(tables.PREDICTIONS, tmp_path / "runs/set/predictions.parquet").frame
    assert predictions.filter(role="test", family="prior").height == 31


def predictions_of(run: Path):
    """What a trial says, by what it is rather than by the name of its folder."""
    frame = tables.read(tables.PREDICTIONS, run / "predictions.parquet").frame
    return frame.drop("trial").sort("family", "role", "sample")


def test_kill_and_resume_gives_the_same_predictions(archive, tmp_path):
    """SIGKILL in the middle loses the trials in hand and nothing else; the same command goes on."""
    command = ["run", str(archive), "--families", "prior,thumbnail,li2014", "--resamples", "100", "--budget", "12s"]
    grandrounds("plan", *command[1:], "-o", "whole", cwd=tmp_path)
    study = (tmp_path / "whole/study.toml").read_text()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed/study.toml").write_text(study)
    grandrounds("run", "whole", cwd=tmp_path)

    process = subprocess.Popen(
        [sys.executable, "-m", "grandrounds", "run", "killed"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("trials/.li2014*.progress")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/report.html").exists()
    said = grandrounds("run", "killed", cwd=tmp_path)

    assert re.search(r"\d of 9 trials are there already|Swept", said)
    assert predictions_of(tmp_path / "whole").equals(predictions_of(tmp_path / "killed"))
    assert not list((tmp_path / "killed/trials").glob(".*"))


def test_ctrl_c_says_how_to_go_on_and_leaves_nobody_running(archive, tmp_path):
    """An interrupted run ends with its workers, and says that the same command goes on."""
    command = [sys.executable, "-m", "grandrounds", "run", str(archive), "--families", "prior,vit-tiny", "-o", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/trials/.vit-tiny*.progress")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(workers, timeout=10)

    assert process.returncode == 130
    assert "same command again" in said
    assert "Traceback" not in said
    assert alive == []


def test_test_pixels_and_labels_never_reach_training(archive, tmp_path):
    """With the split fixed, poison the test part: what was fitted must not change by a bit."""
    arrays = dict(np.load(archive))
    rng = np.random.default_rng(1)
    poisoned = arrays | {
        "test_images": rng.integers(0, 256, arrays["test_images"].shape, np.uint8),
        "test_labels": 1 - arrays["test_labels"],
    }
    hashes = []
    families = "prior,thumbnail,lbp-svm,li2014,resnet-18,vit-tiny"
    asked = ["--families", families, "--resamples", "100", "--budget", "15s"]
    np.savez(tmp_path / "clean.npz", **arrays)
    np.savez(tmp_path / "poisoned.npz", **poisoned)
    grandrounds("plan", "clean.npz", *asked, "-o", "clean", cwd=tmp_path)
    study = (tmp_path / "clean/study.toml").read_text()
    (tmp_path / "poisoned").mkdir()
    (tmp_path / "poisoned/study.toml").write_text(study.replace("clean.npz", "poisoned.npz"))
    for name in ("clean", "poisoned"):
        grandrounds("run", name, cwd=tmp_path)
        trials = tables.read(tables.TRIALS, tmp_path / name / "trials.parquet").frame
        hashes.append(dict(trials.select("family", "fitted_hash").iter_rows()))

    assert hashes[0] == hashes[1]
    assert None not in hashes[0].values()


def test_a_planted_leak_is_watermarked_or_refused(archive, tmp_path):
    """A leaking official split runs LEAKY; a changed split file is refused when the plan is read."""
    arrays = dict(np.load(archive))
    arrays["test_patient"][:4] = arrays["train_patient"][0]
    np.savez(tmp_path / "leaky.npz", **arrays)
    grandrounds("run", "leaky.npz", "--families", "prior", "--resamples", "100", cwd=tmp_path)

    assert "LEAKY" in (tmp_path / "runs/leaky/report.html").read_text()

    grandrounds("plan", archive, "--families", "prior", "-o", "own", "--scheme", "kfold", cwd=tmp_path)
    frame, meta = tables.read(tables.SPLITS, tmp_path / "own/splits.parquet")
    victim = frame.filter(pl.col("fold") == 0, pl.col("role") == "train")["case"][0]
    moved = pl.when((pl.col("case") == victim) & (pl.col("fold") == 0)).then(pl.lit("valid")).otherwise(pl.col("role"))
    tables.write(frame.with_columns(role=moved), tables.SPLITS, tmp_path / "own/splits.parquet", meta)
    said = grandrounds("run", "own", cwd=tmp_path, check=1)
    assert "1 patient" in said


def test_the_ledger_counts_each_opening_of_the_test_role(archive, tmp_path):
    """Two studies of two families on the same data open its test role four times."""
    (tmp_path / "own").mkdir()
    copy = tmp_path / "own/stripes.npz"
    copy.write_bytes(archive.read_bytes())
    quick = ["--families", "prior,thumbnail", "--resamples", "100", "--seeds", "1"]
    for seed in ("0", "1"):
        grandrounds("run", copy, *quick, "--seed", seed, "-o", f"run{seed}", cwd=tmp_path)
    ledger = [line for line in (tmp_path / "own/.grandrounds-ledger.jsonl").read_text().splitlines() if line]

    assert len(ledger) == 4
    assert all("trial" in json.loads(line) for line in ledger)


def test_a_margin_that_was_changed_after_the_test_is_found(finished, tmp_path):
    """Judging anew with what suits the answer is no declaration; judging anew with the same is no finding."""
    run = tmp_path / "run"
    shutil.copytree(finished[1], run)
    study = run / "study.toml"
    declared = study.read_text(encoding="utf-8")
    study.write_text(declared.replace("margin = 0.02", "margin = 0.3"), encoding="utf-8")
    grandrounds("run", run, cwd=tmp_path)
    found = {one["audit"]: one for one in json.loads(grandrounds("audit", run, "--json", cwd=tmp_path))}["A017"]

    assert declared.count("margin = 0.02") == 1
    assert found["outcome"] == "finding"
    assert "auc, margin 0.02" in found["sentence"]
    assert "A017" in (run / "report.md").read_text(encoding="utf-8")


def test_the_best_recipe_of_a_tuning_runs_beside_the_usual_one(archive, tmp_path):
    """`tune` writes a recipe that `run` takes, and both stand in every table under their own names."""
    said = grandrounds("tune", archive, "thumbnail", "--set", "side_px=1,16", "--seeds", "1", cwd=tmp_path)
    recipe = tmp_path / "runs/stripes/tuning/thumbnail.toml"
    families = f"prior,thumbnail,{recipe}"
    options = ("--families", families, "--resamples", "200", "--budget", "20s", "--seeds", "1")
    grandrounds("run", archive, *options, cwd=tmp_path)
    scores = tables.read(tables.SCORES, tmp_path / "runs/stripes/scores.parquet").frame

    assert "the test role stayed closed" in recipe.read_text(encoding="utf-8")
    assert 'family = "thumbnail@tuned"' in recipe.read_text(encoding="utf-8")
    assert "picked by the cases that score it" in " ".join(said.split())
    assert set(scores["family"]) == {"prior", "thumbnail", "thumbnail@tuned"}
    assert "nothing was trained" in grandrounds("run", archive, *options, cwd=tmp_path)
