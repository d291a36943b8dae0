"""Several studies on the same images, one for each column of labels, and one page over all of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds import api, tables
from grandrounds.data import SourceOptions
from grandrounds.errors import BadData, BadSpec
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means

TASKS, JUDGED = ("effusion", "nodule"), JudgeSpec(resamples=100)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of simulated films with two columns of labels; each finding is a bright half."""
    home, rng, rows = tmp_path_factory.mktemp("films"), np.random.default_rng(0), []
    for at in range(60):
        shown = {name: bool(rng.integers(2)) for name in TASKS}
        image = rng.integers(0, 120, (16, 16), dtype=np.uint8)
        image[:8] += np.uint8(60 * shown["effusion"])
        image[8:] += np.uint8(30 * shown["nodule"])
        cv2.imwrite(str(home / f"film{at}.png"), image)
        labels = {name: "present" if there else "absent" for name, there in shown.items()}
        role = "test" if at % 3 == 0 else "train"
        rows.append({"image": f"film{at}.png", "patient": f"nobody-{at // 2}", "role": role} | labels)
    frame = pl.DataFrame(rows).with_columns(pl.col("role").first().over("patient"))
    frame.write_csv(home / "films.csv")
    return home / "films.csv"


def asked(films: Path, task: str) -> Ask:
    """Return the study of one column."""
    options = SourceOptions(label=task, task=task, classes=("absent", "present"))
    return Ask(
        name=task, data=DataSpec(source=str(films), options=options), families=("prior", "lbp-svm"),
        seeds=1, judge=JUDGED, means=Means(budget_s=20, workers=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(films: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The finished studies."""
    home = tmp_path_factory.mktemp("runs")
    return [api.run(asked(films, task), home / task).folder for task in TASKS]


def test_runs_of_several_tasks_make_one_page(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chapter has the figures, the costs and the certificate of its run, and the mean is of both."""
    page = api.rereport(runs, tmp_path / "films").read_text(encoding="utf-8")
    assert api.rereport(runs) == runs[0].parent / "effusion+nodule" / "report.html"
    monkeypatch.chdir(runs[0])
    assert api.rereport([Path(), Path("../nodule")]) == runs[0].parent / "effusion+nodule" / "report.html"
    assert api.rereport(Path()).resolve() == runs[0] / "report.html"
    scores = tables.read(tables.SCORES, tmp_path / "films" / "scores.parquet").frame
    for task, run in zip(TASKS, runs, strict=True):
        alone = tables.read(tables.SCORES, run / "scores.parquet").frame
        assert scores.filter(task=task).equals(alone.select(scores.columns))
    auc = scores.filter(pl.col("metric") == "auc", pl.col("label").is_null(), unit="case", slice="all")
    mean = dict(auc.filter(task="all tasks").select("family", "estimate").iter_rows())
    each = auc.filter(pl.col("task") != "all tasks").group_by("family").agg(pl.col("estimate").mean())
    assert mean == pytest.approx(dict(each.iter_rows()))

    assert "effusion and nodule: which family reads the 2 tasks best?" in page
    assert "Leak certificate</h3>" in page
    assert page.count("How to redo it</h3>") == 2
    assert len(re.findall(r"the cheapest calibrated one ships", page)) == 3
    assert "a run of its own, which ships its own family" in page


def test_pseudonyms_are_the_same_in_both_runs(runs: list[Path]) -> None:
    """The draws of the mean weigh a patient alike in both tasks only if she has one name."""
    one, other = (set(tables.read(tables.SAMPLES, run / "samples.parquet").frame["patient"]) for run in runs)
    assert one == other
    assert tables.read(tables.PREDICTIONS, runs[0] / "predictions.parquet").meta["patient_known"]


def test_runs_that_do_not_go_together_are_refused(runs: list[Path], tmp_path: Path) -> None:
    """One task twice, another way of judging, a table beside them, options of CSVs."""
    with pytest.raises(BadData, match="two runs have a task of one name: nodule, nodule"):
        api.rereport([runs[1], runs[1]], tmp_path / "page")
    other = Path(shutil.copytree(runs[1], tmp_path / "other"))
    study = (other / "study.toml").read_text(encoding="utf-8")
    (other / "study.toml").write_text(study.replace("margin = 0.02", "margin = 0.05"), encoding="utf-8")
    with pytest.raises(BadSpec, match="judged in different ways"):
        api.rereport([runs[0], other], tmp_path / "page")
    with pytest.raises(BadSpec, match="a run folder stands alone"):
        api.rereport([*runs, runs[0] / "predictions.parquet"], tmp_path / "page")
    with pytest.raises(BadSpec, match="brings its own columns"):
        api.rereport(runs, tmp_path / "page", judge=JUDGED)
    assert not (tmp_path / "page").exists()


def test_a_report_is_not_written_over_a_study(runs: list[Path], tmp_path: Path) -> None:
    """Neither where the folder is named, nor where a CSV is called as the folder of a run beside it."""
    kept = tmp_path / "kept"
    shutil.copytree(runs[0], kept)
    before = (kept / "scores.parquet").read_bytes()
    csv = tmp_path / "kept.csv"
    tables.read(tables.PREDICTIONS, kept / "predictions.parquet").frame.write_csv(csv)

    for given, out in ((csv, None), (csv, kept), (runs, kept), (runs[1], kept)):
        with pytest.raises(BadSpec, match="a study is kept in this folder"):
            api.rereport(given, out, judge=JUDGED if given == csv else None)
    assert (kept / "scores.parquet").read_bytes() == before
    assert api.rereport(csv, tmp_path / "page", judge=JUDGED).exists()
