"""A trial that failed: the command says so, and the same command tries it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds import families, tables
from grandrounds.cli import main

# A family of another package, which cannot be fitted as long as a file is there; where that names the time at which it
# is fitted, its process is killed.
MOODY = """
import os
import signal
from pathlib import Path

from grandrounds.families.prior import FittedPrior, PriorFamily
from grandrounds.families.protocol import FamilyEntry


class Moody(PriorFamily):
    def fit(self, train, valid, budget, seed, watch):
        away = Path(os.environ["MOODY"])
        when = "pricing" if train.samples["sample"][0].startswith("noise") else "training"
        if away.exists() and away.read_text(encoding="utf-8") == when:
            os.kill(os.getpid(), signal.SIGKILL)
        missing = {"training": "searching", "pricing": "searching early"}[when]
        if away.exists() and away.read_text(encoding="utf-8") == missing:
            raise FileNotFoundError(2, "No such file or directory", "vocabulary.txt")
        mute = away.exists() and away.read_text(encoding="utf-8") == "predicting"
        if away.exists() and when == "training" and not mute:
            raise RuntimeError("the scratch disk is away")
        fitted = super().fit(train, valid, budget, seed, watch)
        return Mute(fitted.record, fitted.frequencies) if mute else fitted


class Mute(FittedPrior):
    def predict(self, view):
        raise RuntimeError("no word")


ENTRY = FamilyEntry(
    name="moody", kind="kernel", summary="fails now and then", reference="none", build="moody:Moody",
    params="grandrounds.families.params:PriorParams", fitted="grandrounds.families.prior:FittedPrior",
)
"""


QUICK = ("--families", "prior,moody", "--seeds", "2", "--resamples", "100", "--budget", "10s", "--workers", "1")


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that makes that family fail while it is there; its package is installed for this test."""
    info = tmp_path / "packages" / "moody-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "moody.py").write_text(MOODY, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[grandrounds.families]\nmoody = moody:ENTRY\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.setattr(families.FAMILIES, "_merged", None)  # packages are asked once in a process
    monkeypatch.setenv("MOODY", str(tmp_path / "away"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "away").touch()
    return tmp_path / "away"


@pytest.fixture
def images(archive: Path, tmp_path: Path) -> Path:
    """A copy of the archive, with a ledger of its own."""
    (tmp_path / "images").mkdir()
    return Path(shutil.copy(archive, tmp_path / "images"))


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs a command, which must end with a code, and returns what it said."""

    def run(*arguments: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            main(list(map(str, arguments)))
        said = capsys.readouterr()
        assert (end.value.code or 0) == code, said.out + said.err
        return said.out if "--json" in arguments else " ".join((said.out + said.err).split())

    return run


def frame(schema: tables.Schema, run: Path = Path("run")) -> pl.DataFrame:
    return tables.read(schema, run / f"{schema.name}.parquet").frame


def openings(images: Path) -> list[str]:
    """Return the trials that opened the test role, one a time."""
    lines = (images.parent / ".grandrounds-ledger.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted(json.loads(line)["trial"] for line in lines if line)


def test_failed_trials_are_told_and_tried_again(away: Path, images: Path, says: Callable[..., str]) -> None:
    """Exit 3, with the report and which failed; the same command tries these alone, until nothing is left to do."""
    said = says("run", images, "-o", "run", *QUICK, code=3)
    failed = frame(tables.TRIALS).filter(status="failed").sort("trial")
    done = {path: path.stat().st_mtime_ns for path in Path("run").glob("trials/prior-*/*")}

    assert failed["family"].to_list() == ["moody", "moody"]
    assert f"2 trials failed: {', '.join(f'trials/{name}' for name in failed['trial'])}. Why" in said
    assert "the same command tries again what failed" in said
    assert said.count("moody failed: RuntimeError: the scratch disk is away") == 1
    assert Path("run/report.html").exists()
    assert len(openings(images)) == 2

    assert "2 trials failed" in says("run", "run", code=3)  # still away
    assert Path("run/trials", failed["trial"][0], "error.txt").exists()

    away.unlink()
    assert "2 trials failed in an earlier run: tried again now." in says("run", "run")
    own, prior = (
        frame(tables.PREDICTIONS).filter(family=name).sort("seed", "role", "sample").select("sample", "^prob_.*$")
        for name in ("moody", "prior")
    )
    assert own.equals(prior)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert not list(Path("run").rglob("error.txt"))
    assert not list(Path("run/trials").glob(".*"))
    # Judged again, openly: each trial has opened the test role once, and nothing was declared anew.
    ledger = json.loads(Path("run/ledger.json").read_text(encoding="utf-8"))
    outcomes = dict(frame(tables.FINDINGS).select("audit", "outcome").iter_rows())
    assert openings(images) == sorted(frame(tables.TRIALS)["trial"])
    assert (ledger["times"], ledger["by trials"], ledger["declared"]) == (4, 4, [["auc", 0.02]])
    assert "finding" not in (outcomes["A007"], outcomes["A017"])
    assert "nothing was trained" in says("run", "run")


def test_a_file_that_a_family_misses_is_no_full_disk(away: Path, images: Path, says: Callable[..., str]) -> None:
    """Its trials fail, in its own words; the others go on."""
    away.write_text("searching", encoding="utf-8")
    said = says("run", images, "-o", "run", *QUICK, code=3)

    assert "moody failed: FileNotFoundError: [Errno 2] No such file or directory: 'vocabulary.txt'" in said
    assert frame(tables.TRIALS).filter(family="prior")["status"].to_list() == ["done", "done"]


def test_a_family_that_fails_while_it_is_timed_is_named(away: Path, images: Path, says: Callable[..., str]) -> None:
    """In one sentence and no traceback; nothing was trained."""
    away.write_text("searching early", encoding="utf-8")
    said = says("run", images, "-o", "run", *QUICK, code=1)

    assert "the family fails on random images of this size: FileNotFoundError: [Errno 2] No such file" in said
    assert "where: moody" in said


def test_a_trial_that_fails_in_predicting_keeps_no_model(away: Path, images: Path, says: Callable[..., str]) -> None:
    """Nobody is to find it there and take it for one."""
    away.write_text("predicting", encoding="utf-8")
    assert "moody failed: RuntimeError: no word" in says("run", images, "-o", "run", *QUICK, code=3)
    failed = frame(tables.TRIALS).filter(status="failed")["trial"]
    assert len(failed) == 2
    for trial in failed:
        assert sorted(path.name for path in Path("run/trials", trial).iterdir() if path.is_dir()) == []


def test_a_study_in_which_every_training_failed_goes_on(away: Path, images: Path, says: Callable[..., str]) -> None:
    """There is nothing to judge, which is refused; once the cause is gone the same command goes on."""
    command = ("run", images, "-o", "run", "--families", "moody", *QUICK[2:])
    says(*command, code=1)
    away.unlink()
    says(*command)

    assert frame(tables.TRIALS)["status"].to_list() == ["done", "done"]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("pricing", "a worker process died while the families were timed"),
        ("training", "a worker process died, most often because the machine ran out of memory"),
    ],
)
def test_a_worker_that_is_killed_ends_the_run_with_one_message(
    away: Path, images: Path, says: Callable[..., str], when: str, said: str
) -> None:
    """As where memory runs out: it says what to do, leaves no failed trial, and the same command goes on afterwards."""
    away.write_text(when, encoding="utf-8")
    command = ("run", images, "-o", "run", *QUICK)
    told = says(*command, code=1)

    assert said in told
    assert "--workers 1" in told
    assert "Traceback" not in told
    assert Path("run/study.toml").exists() == (when == "training")
    away.unlink()
    says(*command)
    assert set(frame(tables.TRIALS)["status"]) == {"done"}


def test_failed_trials_of_several_tasks_are_tried_again(away: Path, images: Path, says: Callable[..., str]) -> None:
    """The page has all tasks all the same; the command names the task of each trial."""
    for at, image in enumerate(np.random.default_rng(0).integers(0, 256, (48, 8, 8), dtype=np.uint8)):
        cv2.imwrite(str(images.parent / f"{at}.png"), image)
    rows = pl.DataFrame({"image": [f"{at}.png" for at in range(48)], "patient": range(48)})
    labels = {task: [("absent", "present")[at >> turn & 1] for at in range(48)] for turn, task in enumerate("ab")}
    rows.hstack(pl.DataFrame(labels)).write_csv(images.with_name("films.csv"))
    asked = ("--tasks", "a,b", "--scheme", "holdout", *QUICK, "--json")
    shown = json.loads(says("run", images.with_name("films.csv"), "-o", "run", *asked, code=3))
    page = Path("run/report.md").read_text(encoding="utf-8")
    away.unlink()
    again = json.loads(says("run", "run", "--json"))

    assert [Path(one).parts[:2] for one in shown["failed_trials"]] == [("a", "trials")] * 2 + [("b", "trials")] * 2
    assert "Task: a" in page
    assert "Task: b" in page
    assert (again["failed_trials"], again["did_something"]) == ([], True)
    assert not json.loads(says("run", "run", "--json"))["did_something"]
