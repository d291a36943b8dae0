"""Several tasks on one page: each is what it is alone, and the answer is on their mean."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from markdown_it import MarkdownIt
from sklearn.metrics import roc_auc_score

from grandrounds import api, tables
from grandrounds.cli import main
from grandrounds.report import ReportContent, write
from grandrounds.study.spec import JudgeSpec

QUICK = JudgeSpec(resamples=200)
TASKS, FAMILIES = ("abnormal", "acl", "meniscus"), ("resnet-18", "vit-tiny", "li2014", "prior")


def simulated(families: tuple[str, ...] = FAMILIES, *, valid: bool = True) -> pl.DataFrame:
    """Return predictions of a multi-label set: 40 patients a role, two images each, some of them hard to read."""
    rng, parts = np.random.default_rng(0), []
    who = np.arange(80) // 2
    for role in ("valid", "test") if valid else ("test",):
        hard = rng.normal(size=40)[who]
        for task in TASKS:
            ill = rng.random(40)[who] < 0.4
            for place, family in enumerate(families):
                skill = 0.0 if family == "prior" else 1.5 - 0.5 * place
                score = 1 / (1 + np.exp(-(skill * (2 * ill - 1) + 0.7 * hard + rng.normal(size=80))))
                columns = {
                    "sample": [f"simulated-{role}-{at}" for at in range(80)],
                    "patient": [f"nobody-{role}-{at}" for at in who], "label": np.where(ill, "present", "absent"),
                    "prob_absent": 1 - score, "prob_present": score,
                }  # fmt: skip
                named = {"task": task, "family": family, "role": role}
                parts.append(pl.DataFrame(columns).with_columns(pl.lit(word).alias(key) for key, word in named.items()))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def predictions() -> pl.DataFrame:
    return simulated()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, predictions: pl.DataFrame) -> Path:
    """The report on three tasks and four families."""
    place = tmp_path_factory.mktemp("several")
    predictions.write_csv(place / "knees.csv")
    return api.rereport(place / "knees.csv", place / "out", judge=QUICK).parent


def reported(frame: pl.DataFrame, place: Path) -> str:
    """Return the page on some predictions."""
    frame.write_csv(place / "theirs.csv")
    return api.rereport(place / "theirs.csv", place / "out", judge=QUICK).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["scores", "intervals", "comparisons", "decisions", "suspects", "findings"])
def test_each_task_is_what_it_is_alone(folder: Path, predictions: pl.DataFrame, tmp_path: Path, name: str) -> None:
    """Every figure of every table equals that of a report on the task's rows and no others."""
    together = tables.read(tables.SCHEMAS[name], folder / f"{name}.parquet").frame
    for task in TASKS:
        predictions.filter(task=task).write_csv(tmp_path / f"{task}.csv")
        api.rereport(tmp_path / f"{task}.csv", judge=QUICK)
        alone = tables.read(tables.SCHEMAS[name], tmp_path / task / f"{name}.parquet").frame
        own = together.filter(task=task)
        if name == "findings":  # but for the one audit that looks from task to task
            own, alone = (one.filter(pl.col("audit") != "A018") for one in (own, alone))
        assert own.height
        assert own.drop("task").equals(alone.select(own.columns).drop("task"))


def test_the_mean_is_scikit_learns_macro_auc(folder: Path, predictions: pl.DataFrame) -> None:
    """Of the matrix with a row for each image and a column for each finding, as multi-label papers state it."""
    scores = tables.read(tables.SCORES, folder / "scores.parquet").frame
    for family in FAMILIES:
        rows = predictions.filter(family=family, role="test")
        truth = rows.pivot("task", index="sample", values="label").select(TASKS).to_numpy() == "present"
        score = rows.pivot("task", index="sample", values="prob_present").select(TASKS).to_numpy()
        mean = scores.filter(pl.col("metric") == "auc", pl.col("label").is_null(), task="all tasks", family=family)
        assert mean["estimate"].item() == pytest.approx(roc_auc_score(truth, score, average="macro"))


def test_the_page_leads_with_the_mean_and_has_a_chapter_for_each_task(folder: Path) -> None:
    """Two sentences on the mean, then each task with its own answer; ids are unique and headings step by one."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    scores = tables.read(tables.SCORES, folder / "scores.parquet").frame
    mean = scores.filter(pl.col("metric") == "auc", pl.col("label").is_null(), task="all tasks", family="resnet-18")

    answer = re.search(r'<div class="answer">\s*<p>(.*?)</p>\s*<p>(.*?)</p>\s*<details>', page, re.DOTALL)
    assert answer is not None
    assert f"mean AUC over 3 tasks) <b>resnet-18</b> leads with {mean['estimate'].item():.3f}" in answer[1]
    assert re.findall(r"<h2[^>]*>(Task: [^<]*)<", page) == [f"Task: {task}" for task in TASKS]
    assert page.count("leads with") == 4
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert max(Counter(re.findall(r' id="([^"]*)"', page)).values()) == 1
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(re.findall(r' id="([^"]*)"', page))
    assert (folder / "report.html").stat().st_size < 1_000_000


def test_a_chapter_has_every_section_of_a_page_of_its_own(
    folder: Path, predictions: pl.DataFrame, tmp_path: Path
) -> None:
    """All but the command and the versions, which stand once, at the end."""
    alone = re.findall(r"<h2[^>]*>([^<]*)<", reported(predictions.filter(task="acl"), tmp_path))
    page = (folder / "report.html").read_text(encoding="utf-8")
    chapter = page.split("Task: acl</h2>")[1].split("<h2")[0]

    assert [*re.findall(r"<h3[^>]*>([^<]*)<", chapter), "How to redo it"] == [
        one for one in alone if one != "How to redo it"
    ] + ["How to redo it"]
    assert page.count(">How to redo it</h2>") == 1


def test_it_says_over_what_differences_are_adjusted(folder: Path) -> None:
    """Six pairs on the mean, six in each task, and nothing for looking into three tasks."""
    page = (folder / "report.html").read_text(encoding="utf-8")

    assert "Differences on the mean are adjusted for 6 comparisons." in page
    assert "18 in all tasks together" in page
    assert page.count("adjusted for 6 comparisons on the mean over the tasks") == 1
    assert page.count("adjusted for 6 comparisons in this task and not for the other tasks") == 3


def test_a_page_that_would_be_too_large_leaves_the_details_to_a_page_for_each_task(
    content: ReportContent, tmp_path: Path
) -> None:
    """The page keeps each task's answer and ranking and links to the rest, which lies beside it whole."""
    tasks = tuple(dataclasses.replace(content, task=content.task.replaced(name=name)) for name in ("acl", "cyst"))
    several = dataclasses.replace(content, tasks=tasks, n_tasks=2)
    whole = write(several, tmp_path / "whole" / "report.html").read_text(encoding="utf-8")
    brief = write(several, tmp_path / "brief" / "report.html", most_bytes=200_000).read_text(encoding="utf-8")

    assert {path.name for path in (tmp_path / "whole").iterdir()} == {"report.html"}
    assert (whole.count(">ROC curves</h3>"), brief.count(">ROC curves</h3>")) == (2, 0)
    assert brief.count(">Ranking</h3>") == 2
    assert re.findall(r'href="(report-.*?)"', brief) == ["report-task-1.html", "report-task-2.html"]
    own = (tmp_path / "brief" / "report-task-2.html").read_text(encoding="utf-8")
    assert ">ROC curves</h2>" in own
    assert 'href="report.html"' in own


def test_markdown_and_csv_hold_the_same(folder: Path) -> None:
    """Tasks are headings, their sections one level below; each CSV names the task of a row."""
    text = (folder / "report.md").read_text(encoding="utf-8")
    headings = [one.tag for one in MarkdownIt().enable("table").parse(text) if one.type == "heading_open"]

    assert all(f"\n## Task: {task}\n" in text for task in TASKS)
    assert text.count("\n### Ranking\n") == 3
    assert headings[:2] == ["h1", "h2"]
    for name, more in (("scores", {"all tasks"}), ("comparisons", {"all tasks"}), ("findings", set())):
        assert set(pl.read_csv(folder / "csv" / f"{name}.csv")["task"]) == {*TASKS, *more}


def test_a_finding_that_nobody_has_leaves_its_task_and_the_mean_undefined(tmp_path: Path) -> None:
    """The other tasks stand, and the page says what is missing where."""
    frame = simulated(("ours", "theirs"), valid=False)
    label = pl.when(pl.col("task") == "acl").then(pl.lit("absent")).otherwise("label")
    page = reported(frame.with_columns(label=label), tmp_path)

    assert "No family has a defined mean AUC over 3 tasks: undefined for acl." in page
    assert "No sample is labelled present" in page
    assert page.count("leads with") == 2


def test_a_family_that_lacks_a_task_stands_in_the_others(tmp_path: Path) -> None:
    """It has no mean, and neither the ranking nor the table of tasks makes one up."""
    frame = simulated(("ours", "theirs", "third"), valid=False)
    page = reported(frame.filter((pl.col("family") != "third") | (pl.col("task") != "acl")), tmp_path)

    assert "third did not read acl, so it has no mean over the tasks and is not compared on it." in page
    assert "It is undefined for <b>third</b>." in page
    assert "did not read it" in page


def test_without_a_mean_each_task_stands_for_itself(tmp_path: Path) -> None:
    """No family read every task: that is said first, and the tasks follow."""
    frame = simulated(("ours",), valid=False)
    page = reported(frame.with_columns(family=pl.format("net for {}", "task")), tmp_path)

    assert "The mean over the tasks cannot be estimated: no family read every task, with every fold." in page
    assert page.count(" reaches ") == 6


def test_the_command_takes_the_column_by_another_name(tmp_path: Path) -> None:
    """`--task` names it."""
    simulated(("ours",), valid=False).rename({"task": "finding"}).write_csv(tmp_path / "theirs.csv")
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "theirs.csv"), "--task", "finding", "--resamples", "100"])

    assert not end.value.code
    assert "Task: meniscus" in (tmp_path / "theirs" / "report.html").read_text(encoding="utf-8")
