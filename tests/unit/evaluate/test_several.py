from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.metrics import roc_auc_score

from grandrounds.errors import BadData
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.bootstrap import interval, resample
from grandrounds.evaluate.catalogue import ALL_TASKS as ALL
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.several import judge_several
from grandrounds.tables import TRIALS, Task, empty

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
    scores = judge_several(frame, TASKS, resamples=50).scores
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
    scores = judge_several(copies, TASKS, resamples=200).scores
    bounds = ("estimate", "low", "high")
    assert _overall(scores, ALL).select(bounds).row(0) == pytest.approx(
        _overall(scores, "nodule").select(bounds).row(0)
    )


def test_patients_who_are_read_for_every_task_are_not_counted_once_a_task(findings):
    """Tasks that share what is hard about a patient: independent draws a task would claim a narrower interval."""
    one = findings({"cnn": 1.0}, n_folds=1).filter(pl.col("task") == "effusion")
    rng = np.random.default_rng(1)
    noisy = []
    for task in TASKS:
        blurred = (pl.col("prob_present") + 0.02 * pl.Series(rng.normal(size=one.height))).clip(0, 1)
        part = one.with_columns(task=pl.lit(task.name), trial=pl.lit(task.name), prob_present=blurred)
        noisy.append(part.with_columns(prob_absent=1 - pl.col("prob_present")))
    low, high = (
        _overall(judge_several(pl.concat(noisy), TASKS, resamples=1000).scores, ALL).select("low", "high").row(0)
    )
    apart = [resample(assemble(pl.concat(noisy), task), 1000, seed=turn) for turn, task in enumerate(TASKS)]
    low_apart, high_apart = interval(np.mean([found.values[0, found.at("auc")] for found in apart], axis=0))
    assert high - low > 1.4 * (high_apart - low_apart)


def test_families_are_compared_on_the_mean_and_the_verdict_says_so(findings):
    """One comparison a pair; the words say over how many tasks, and the pick of the best is corrected for."""
    outcome, found = answer(
        findings({"cnn": 3.0, "vit": 0.0}), TASKS, empty(TRIALS), (),
        primary="auc", margin=0.02, resamples=400, rope=False, unit="auto", aggregation="valid",
    )  # fmt: skip
    assert outcome.comparisons.select("task", "verdict").rows() == [(ALL, "better")]
    assert found.leader == "cnn"
    assert found.reach[0].detectable > 0  # from the error of the difference, which as many patients carry as in a task
    assert found.sentences[0].startswith("On the primary metric (mean AUC over 3 tasks) `cnn` leads")
    assert found.selection is not None
    assert found.selection.estimate == pytest.approx(_overall(outcome.scores, ALL)["estimate"][0])


def test_what_ships_is_chosen_on_the_mean_and_calibrated_in_every_task(findings):
    """The better one is overconfident in one task of three: mended where calib shows it, else passed over."""
    frame = pl.concat(
        findings({"cnn": 2.0, "vit": 1.9}, role=role, n_patients=n)
        for role, n in (("valid", 90), ("calib", 180), ("test", 90))
    )

    def answered(*roles):
        sharper = pl.col("family").eq("cnn") & pl.col("task").eq("nodule") & pl.col("role").is_in(roles)
        odds = (pl.col("prob_present") / pl.col("prob_absent")) ** pl.when(sharper).then(8).otherwise(1)
        rows = frame.with_columns(prob_present=odds / (1 + odds)).with_columns(prob_absent=1 - pl.col("prob_present"))
        return answer(
            rows, TASKS, empty(TRIALS), (),
            primary="auc", margin=0.2, resamples=200, rope=False, unit="auto", aggregation="valid",
        )[1]  # fmt: skip

    mended, missed = answered("valid", "calib", "test"), answered("valid", "test")
    assert (mended.miscalibrated, mended.ships) == ((), "cnn")
    assert (missed.miscalibrated, missed.ships) == (("cnn",), "vit")


def test_the_order_of_families_and_tasks_does_not_matter(findings):
    """Families that come in another order in one task are still averaged with themselves."""
    frame = findings({"cnn": 2.0, "vit": 0.0})
    others = frame.filter(pl.col("task") != "effusion")
    turned = pl.concat([frame.filter(task="effusion"), *(others.filter(family=one) for one in ("vit", "cnn"))])
    by = ["family", "task", "metric", "label"]
    kept, found = (judge_several(one, TASKS, resamples=50).scores.filter(task=ALL).sort(by) for one in (frame, turned))
    assert kept.equals(found)
    back = judge_several(frame, TASKS[::-1], resamples=50).scores.filter(task=ALL).sort(by)
    assert_frame_equal(kept, back)


def test_tasks_of_other_kinds_count_alike(findings, predictions, three):
    """The mean of two binary tasks and one of three classes is that of their overall values, and of no others."""
    lung = three.replaced(name="lung")
    frame = pl.concat([findings({"cnn": 1.0}), predictions(lung, {"cnn": 1.0})], how="diagonal")
    tasks = (*TASKS[:2], lung)
    scores = judge_several(frame, tasks, resamples=50).scores
    alone = [judge(frame, task, resamples=50).scores for task in tasks]
    each = [_overall(one, task.name)["estimate"][0] for one, task in zip(alone, tasks, strict=True)]
    assert _overall(scores, ALL)["estimate"].item() == pytest.approx(np.mean(each))
    assert _overall(scores, "lung", "pairwise_auc").height == 1
    assert _overall(scores, ALL, "pairwise_auc").is_empty()


def test_a_task_without_both_sides_leaves_the_mean_undefined(findings):
    """The task that lacks a side is named; a mean over the others is not given in its place."""
    label = pl.when(pl.col("task") == "nodule").then(pl.lit("absent")).otherwise("label")
    found = judge_several(findings({"cnn": 1.0, "vit": 0.5}).with_columns(label=label), TASKS, resamples=50)
    scores, row = found.scores, _overall(found.scores, ALL).row(0, named=True)
    assert row["estimate"] is None
    assert row["note"] == "undefined for nodule"
    assert found.comparisons["verdict"].to_list() == ["undecided"]
    assert _overall(scores, "effusion")["estimate"].null_count() == 0


def test_a_family_that_lacks_a_task_has_no_mean_and_the_others_have(findings):
    """It is judged in the tasks that it read, and its row of the mean says what it did not read."""
    frame = findings({"cnn": 1.0, "vit": 0.5, "svm": 0.2})
    found = judge_several(frame.filter((pl.col("family") != "svm") | (pl.col("task") != "nodule")), TASKS, resamples=50)
    mean = _overall(found.scores, ALL)
    assert mean.filter(family="svm").select("estimate", "low", "note").row(0) == (None, None, "it did not read nodule")
    assert mean.filter(pl.col("family") != "svm")["estimate"].null_count() == 0
    assert _overall(found.scores, "effusion")["family"].to_list() == ["cnn", "vit", "svm"]
    assert found.comparisons.select("family_a", "family_b").rows() == [("cnn", "vit")]
    assert any("svm did not read nodule" in note for note in found.notes)


def test_a_family_that_lacks_a_fold_of_a_task_has_no_mean(findings):
    """A mean over other folds would be another number; the one that finished has its own."""
    frame = findings({"cnn": 1.0, "vit": 0.5})
    lacking = (pl.col("family") == "vit") & (pl.col("task") == "nodule") & (pl.col("fold") == 1)
    found = judge_several(frame.filter(~lacking), TASKS, resamples=50)
    mean = _overall(found.scores, ALL)
    assert mean.filter(family="vit").select("estimate", "note").row(0) == (
        None,
        "it did not finish every fold of nodule",
    )
    assert mean.filter(family="cnn")["estimate"].null_count() == 0
    assert found.comparisons.is_empty()


def test_patients_of_one_task_only_are_counted_and_said(findings):
    """A patient who was read for one task weighs there and in the mean; how many are where is said."""
    frame = findings({"cnn": 1.0})
    found = judge_several(
        frame.filter((pl.col("patient") != "p000") | (pl.col("task") == "nodule")), TASKS, resamples=50
    )
    assert _overall(found.scores, ALL)["n_patients"].item() == 40
    assert _overall(found.scores, "effusion")["n_patients"].item() == 39
    assert found.notes == ("Not every patient is in every task: effusion 39, nodule 40, fibrosis 39 of 40 in all.",)


def test_tasks_without_a_patient_in_common_are_told(findings):
    """Another spelling of every patient would make draws independent, and the reader learns it."""
    renamed = pl.when(pl.col("task") == "nodule").then("x" + pl.col("patient")).otherwise("patient")
    found = judge_several(findings({"cnn": 1.0}).with_columns(patient=renamed), TASKS, resamples=50)
    assert "The task nodule shares no patient with the others" in found.notes[0]


def test_a_handful_of_patients_has_a_mean_and_no_interval(findings):
    """The value stands, and no bound, p or verdict."""
    found = judge_several(findings({"cnn": 1.0, "vit": 0.5}, n_patients=4, n_folds=1), TASKS, resamples=50)
    assert _overall(found.scores, ALL)["estimate"].null_count() == 0
    assert found.scores["low"].null_count() == found.scores.height
    assert found.comparisons["verdict"].to_list() == ["undecided"]


def test_tasks_that_do_not_go_together_are_refused(findings):
    """One task, one name twice, no family in common, levels that differ."""
    frame = findings({"cnn": 1.0, "vit": 0.5})
    for tasks in (TASKS[:1], (TASKS[0], TASKS[0])):
        with pytest.raises(BadData, match="a name of its own"):
            judge_several(frame, tasks)
    name = pl.format("{}-{}", "family", "task")
    with pytest.raises(BadData, match="no family read every task"):
        judge_several(frame.with_columns(family=name), TASKS, resamples=20)
    exams = pl.when(pl.col("task") == "nodule").then("patient").otherwise("case")
    with pytest.raises(BadData, match="effusion by sample, nodule by case"):
        judge_several(frame.with_columns(case=exams), TASKS, resamples=20)
