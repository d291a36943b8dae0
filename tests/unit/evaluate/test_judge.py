from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.evaluate.contrast import decisive
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.score import lost


def test_every_table_keeps_its_schema(predictions, three):
    """Scores, comparisons and curves are what the tables module says, intervals around their estimates."""
    found = judge(predictions(three, {"cnn": 1.0, "vit": 0.5}, n_seeds=2), three, resamples=200)
    for frame, schema in (
        (found.scores, tables.SCORES),
        (found.comparisons, tables.COMPARISONS),
        (found.curves, tables.CURVES),
    ):
        assert tables.check(frame, schema).equals(frame)
    auc = found.scores.filter(pl.col("metric") == "auc", pl.col("label").is_null())
    assert (auc["low"] < auc["estimate"]).all()
    assert (auc["estimate"] < auc["high"]).all()
    methods = dict(found.scores.select("metric", "method").iter_rows())
    assert methods["auc"] == "patient-clustered bootstrap, t on log odds, 200 resamples"
    assert methods["net_benefit"] == "patient-clustered bootstrap, from those of two shares, 200 resamples"
    assert methods["brier_uncertainty"] == "patient-clustered bootstrap, percentile, 200 resamples"
    assert methods["lr_positive"] == "patient-clustered bootstrap, from those of two shares, 200 resamples"
    assert found.scores["n_patients"].unique().to_list() == [40]
    assert dict(found.scores.select("unit", "n_samples").unique().iter_rows()) == {"sample": 120, "patient": 40}


def test_the_same_seed_gives_the_same_tables(predictions, three):
    """Judging twice gives the same numbers; another seed gives other intervals and the same estimates."""
    frame = predictions(three, {"cnn": 1.0, "vit": 0.5})
    one, two, other = (judge(frame, three, resamples=100, seed=seed) for seed in (0, 0, 1))
    assert one.scores.equals(two.scores)
    assert one.curves.equals(two.curves)
    assert one.scores["estimate"].equals(other.scores["estimate"])
    assert not one.scores["low"].equals(other.scores["low"])


def test_permuting_the_classes_permutes_the_results(predictions, three):
    """Class by class results follow their class; overall ones stay."""
    frame = predictions(three, {"cnn": 1.0})
    turned = three.replaced(classes=three.classes[::-1])
    key = ["unit", "metric", "label"]
    one = judge(frame, three, resamples=50).scores.sort(key)
    other = judge(frame, turned, resamples=50).scores.sort(key)
    for name in ("estimate", "low", "high"):
        np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), atol=1e-12)


def test_a_missing_class_is_said(predictions, three):
    """The note counts the folds in which a class is missing, and names it."""
    frame = predictions(three, {"cnn": 1.0}).filter(~((pl.col("fold") == 0) & (pl.col("label") == "fibrosis")))
    scores = judge(frame, three, resamples=50).scores
    note = scores.filter(pl.col("metric") == "recall", pl.col("label") == "fibrosis")["note"][0]
    assert note.startswith("undefined in 1 of 3 folds: no sample is fibrosis")


def test_one_class_only_is_undefined_and_not_zero(predictions, two):
    """Where all samples have one label AUC has neither estimate nor interval, and the note says why."""
    frame = predictions(two, {"cnn": 1.0, "vit": 0.0}).filter(pl.col("label") == "benign")
    found = judge(frame, two, resamples=50)
    auc = found.scores.filter(pl.col("metric") == "auc", pl.col("label").is_null()).row(0, named=True)
    assert (auc["estimate"], auc["low"], auc["high"]) == (None, None, None)
    assert "undefined in 3 of 3 folds" in auc["note"]
    assert decisive(found.comparisons)["verdict"].to_list() == ["undecided"]


def test_unknown_patients_are_said(predictions, two):
    """Without patients the method and a note say what is assumed."""
    found = judge(predictions(two, {"cnn": 1.0}), two, resamples=50, patient_known=False)
    assert "assumes independent images" in found.scores["method"][0]
    assert "assumes independent images" in found.notes[0]


def test_few_patients_and_unfinished_folds_are_said(predictions, three):
    """The notes warn of what makes the numbers weak."""
    frame = predictions(three, {"cnn": 1.0, "vit": 1.0}, n_patients=18)
    frame = frame.filter((pl.col("family") == "cnn") | (pl.col("fold") == 0))
    notes = " ".join(judge(frame, three, resamples=20).notes)
    assert "Only 18 patients" in notes
    assert "vit finished 1 of 3 folds" in notes


def test_resamples_that_are_hardly_ever_undefined_are_not_spoken_of():
    """One of two thousand moves no bound; one of a hundred is said."""
    values = np.zeros(2000)
    values[0] = np.nan
    assert [*lost(values)] == []
    values[:20] = np.nan
    assert [*lost(values)] == ["undefined in 1.0 % of the resamples, which the interval leaves out"]


def test_few_resamples_do_not_hide_a_clear_difference(predictions, two):
    """Twenty draws of forty patients: that one family knows what the other guesses is shown all the same."""
    pair = judge(predictions(two, {"knows": 4.0, "guesses": 0.0}), two, resamples=20).comparisons.row(0, named=True)
    assert pair["verdict"] == "better"
    assert pair["p_adjusted"] < 0.001
    assert pair["low"] > 0


def test_other_rows_for_another_family_are_refused(predictions, three):
    """A family that was judged on other samples is an error, not a comparison."""
    frame = predictions(three, {"cnn": 1.0, "vit": 0.5})
    less = frame.filter((pl.col("family") == "cnn") | (pl.col("sample") != "s007"))
    with pytest.raises(BadData, match="different samples"):
        judge(less, three)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.with_columns(role=pl.lit("train")), "no prediction for the role"),
        (lambda frame: frame.with_columns(label=pl.lit("unheard")), "none of the task's classes"),
        (lambda frame: frame.with_columns(prob_normal=pl.lit(float("nan"))), "sum to 1"),
        (lambda frame: frame.drop("prob_normal"), "prob_normal"),
        (lambda frame: pl.concat([frame, frame.with_columns(trial=pl.lit("x"))]), "twice"),
    ],
)
def test_predictions_that_cannot_be_are_refused(predictions, three, change, message):
    """Each kind of bad row gets a message that says what is wrong."""
    with pytest.raises(BadData, match=message):
        judge(change(predictions(three, {"cnn": 1.0})), three)


def test_a_metric_without_an_overall_value_cannot_be_primary(predictions, three):
    """Recall is reported by class only and is refused as primary, as is a metric for other tasks."""
    frame = predictions(three, {"cnn": 1.0})
    for name in ("recall", "quadratic_kappa", "aucc"):
        with pytest.raises(BadSpec):
            judge(frame, three, primary=name)


def test_an_ordinal_task_has_a_weighted_kappa(predictions, three):
    """Kappa with squared distances is reported for ordered classes, alone there, and may be primary."""
    frame, ordered = predictions(three, {"cnn": 3.0, "vit": 0.0}), three.replaced(kind="ordinal")
    found = judge(frame, ordered, primary="quadratic_kappa", resamples=200)
    by_sample = found.scores.filter(pl.col("unit") == "sample")
    assert by_sample.filter(pl.col("metric") == "quadratic_kappa").height == 2
    assert decisive(found.comparisons)["verdict"].to_list() == ["better"]
    assert "quadratic_kappa" not in judge(frame, three, resamples=20).scores["metric"].to_list()


def test_curves_end_where_they_must(predictions, three):
    """ROC runs up to (1, 1), confusion adds up to the samples, calibration lies between 0 and 1."""
    found = judge(predictions(three, {"cnn": 1.0}, n_seeds=2), three, resamples=50).curves
    roc = found.filter(pl.col("curve") == "roc")
    assert sorted(roc["label"].drop_nulls().unique()) == sorted(three.classes)
    assert roc.filter(pl.col("x") == 1)["y"].to_list() == pytest.approx([1.0] * 4)
    assert (roc["low"] <= roc["high"]).all()
    assert roc.group_by("label").agg(pl.col("y").diff().min()).get_column("y").min() >= 0
    assert found.filter(pl.col("curve") == "confusion")["y"].sum() == pytest.approx(120)
    assert found.filter(pl.col("curve") == "calibration").select(pl.col("x", "y")).max().row(0) <= (1.0, 1.0)


def test_a_binary_task_shows_the_positive_class(predictions, two):
    """One ROC curve, that of the positive class; overall AUC is its AUC."""
    found = judge(predictions(two, {"cnn": 1.0}), two, resamples=50)
    assert found.curves.filter(pl.col("curve") == "roc")["label"].unique().to_list() == ["malignant"]
    auc = found.scores.filter(pl.col("metric") == "auc", pl.col("unit") == "sample")
    assert len(auc.filter(pl.col("label") == "malignant")["estimate"]) == 1
    assert (
        auc.filter(pl.col("label").is_null())["estimate"].item()
        == auc.filter(pl.col("label") == "malignant")["estimate"].item()
    )


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("grandrounds.evaluate.judge", {"torch", "cv2", "PIL", "pydicom", "sklearn"}),
        ("grandrounds.evaluate", {"numba", "scipy", "sklearn", "matplotlib"}),
    ],
)
def test_importing_the_judge_brings_no_model_and_no_pixel_reader(module, heavy):
    """The judge runs where torch and the readers are not installed, and listing metrics imports next to nothing."""
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]"
