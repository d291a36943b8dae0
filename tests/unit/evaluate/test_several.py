from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from grandrounds.errors import BadData
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.several import ALL, all_tasks, judge_several
from grandrounds.evaluate.verdict import verdict
from grandrounds.tables import SCORES, TRIALS, Task, empty

TASKS = tuple(
    Task(name=name, kind="binary", classes=("absent", "present"), positive="present")
    for name in ("effusion", "nodule", "fibrosis")
)


@pytest.fixture
def findings(predictions):
    """Return the function that simulates several findings on the same samples."""

    def _findings(strengths, **options):
        return pl.concat(
            predictions(task, strengths, seed=turn, **options).with_columns(
                trial=pl.format("{}-{}", pl.lit(task.name), "trial")
            )
            for turn, task in enumerate(TASKS)
        )

    return _findings


def _overall(scores, task, metric="auc"):
    return scores.filter(pl.col("task") == task, pl.col("metric") == metric, pl.col("label").is_null())


def test_the_mean_is_scikit_learns_macro_average(findings):
    """With one fold it equals roc_auc_score of the label matrix, and each task is what it is alone."""
    frame = findings({"cnn": 1.0}, n_folds=1)
    scores, _ = judge_several(frame, TASKS, resamples=50)
    truth, score = (
        np.stack([frame.filter(pl.col("task") == task.name)[column].to_numpy() for task in TASKS], axis=1)
        for column in ("label", "prob_present")
    )
    assert _overall(scores, ALL)["estimate"].item() == pytest.approx(roc_auc_score(truth == "present", score))
    alone = judge(frame, TASKS[1], resamples=50).scores.filter(pl.col("unit") == "sample")
    assert _overall(scores, "nodule")["estimate"].item() == _overall(alone, "nodule")["estimate"].item()


def test_patients_are_drawn_alike_in_every_task(findings):
    """Three copies of one task have the mean's interval of that task, not a narrower one."""
    one = findings({"cnn": 1.0}).filter(pl.col("task") == "effusion")
    copies = pl.concat(one.with_columns(task=pl.lit(task.name), trial=pl.lit(task.name)) for task in TASKS)
    scores, _ = judge_several(copies, TASKS, resamples=200)
    bounds = ("estimate", "low", "high")
    assert _overall(scores, ALL).select(bounds).row(0) == pytest.approx(
        _overall(scores, "nodule").select(bounds).row(0)
    )


def test_families_are_compared_on_the_mean_and_the_verdict_says_so(findings):
    """One comparison a pair; the words say macro."""
    scores, comparisons = judge_several(findings({"cnn": 3.0, "vit": 0.0}), TASKS, resamples=400)
    assert comparisons.select("task", "verdict").rows() == [(ALL, "better")]
    found = verdict(
        scores.filter(pl.col("task") == ALL),
        comparisons,
        empty(TRIALS),
        empty(SCORES),
        all_tasks(TASKS),
        "auc",
        0.02,
        (),
    )
    assert found.leader == "cnn"
    assert found.sentences[0].startswith("On the primary metric (macro AUC) `cnn` leads")


def test_a_task_without_both_sides_leaves_the_mean_undefined(findings):
    """The task that lacks a side is named; a mean over the others is not given in its place."""
    label = pl.when(pl.col("task") == "nodule").then(pl.lit("absent")).otherwise("label")
    scores, comparisons = judge_several(
        findings({"cnn": 1.0, "vit": 0.5}).with_columns(label=label), TASKS, resamples=50
    )
    row = _overall(scores, ALL).row(0, named=True)
    assert row["estimate"] is None
    assert row["note"] == "undefined for nodule"
    assert comparisons["verdict"].to_list() == ["undecided"]
    assert _overall(scores, "effusion")["estimate"].null_count() == 0


def test_tasks_that_do_not_go_together_are_refused(findings, three):
    """Several classes, one name twice, a family that lacks a task."""
    frame = findings({"cnn": 1.0, "vit": 0.5})
    with pytest.raises(BadData, match="only where each is binary"):
        judge_several(frame, (TASKS[0], three))
    with pytest.raises(BadData, match="only where each is binary"):
        judge_several(frame, (TASKS[0], TASKS[0]))
    with pytest.raises(BadData, match="other families"):
        judge_several(frame.filter((pl.col("family") == "cnn") | (pl.col("task") != "nodule")), TASKS, resamples=20)
