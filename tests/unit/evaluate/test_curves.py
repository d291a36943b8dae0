from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as known
from sklearn.calibration import calibration_curve

from grandrounds.evaluate.catalogue import TREAT_ALL
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.curves import GRID, THRESHOLDS, curves


def test_the_roc_curve_passes_through_the_known_points(predictions, two):
    """On the grid the curve of one fold is scikit-learn's, interpolated."""
    frame = predictions(two, {"cnn": 1.0}, n_folds=1)
    ours = curves(assemble(frame, two), seed=0).filter(pl.col("curve") == "roc")
    false, true, _ = known.roc_curve(frame["label"] == "malignant", frame["prob_malignant"], drop_intermediate=False)
    np.testing.assert_allclose(ours["y"], np.interp(GRID, false, true), atol=1e-12)


def test_precision_recall_steps_through_the_known_points(predictions, two):
    """At each recall of the grid the precision is scikit-learn's at the first threshold that reaches it."""
    frame = predictions(two, {"cnn": 1.0}, n_folds=1)
    ours = curves(assemble(frame, two), seed=0).filter(pl.col("curve") == "precision-recall")
    precision, recall, _ = known.precision_recall_curve(frame["label"] == "malignant", frame["prob_malignant"])
    expected = [precision[:-1][recall[:-1] >= at - 1e-12][-1] for at in GRID]
    np.testing.assert_allclose(ours["y"], expected, atol=1e-12)
    assert (ours["low"] <= ours["y"]).mean() > 0.9


def test_net_benefit_is_the_formula(predictions, two):
    """Hits less alarms at the odds of the threshold, and for everybody the same with all called."""
    frame = predictions(two, {"cnn": 1.0})
    found = curves(assemble(frame, two), seed=0).filter(pl.col("curve") == "decision")
    prob, ill = frame["prob_malignant"].to_numpy(), (frame["label"] == "malignant").to_numpy()
    for family, score in (("cnn", prob), (TREAT_ALL, np.ones_like(prob))):
        called = score[:, None] >= THRESHOLDS
        odds = THRESHOLDS / (1 - THRESHOLDS)
        expected = ((called & ill[:, None]).sum(axis=0) - (called & ~ill[:, None]).sum(axis=0) * odds) / len(prob)
        np.testing.assert_allclose(found.filter(pl.col("family") == family)["y"], expected, atol=1e-9)


def test_where_nobody_is_called_net_benefit_is_not_known_to_be_0(predictions, two):
    """At the odds of 99 to 1 the false call that was not seen would weigh 99 times as much as a hit."""
    frame = predictions(two, {"cnn": 1.0}).with_columns(prob_malignant=pl.lit(0.3), prob_benign=pl.lit(0.7))
    found = curves(assemble(frame, two), seed=0).filter(curve="decision", family="cnn")
    most = 1 - 0.025 ** (1 / frame["patient"].n_unique())
    last = found.sort("x").row(-1, named=True)

    assert (last["x"], last["y"]) == (pytest.approx(0.99), 0.0)
    assert (last["low"], last["high"]) == (pytest.approx(-99 * most), pytest.approx(most))
    assert (found["low"] <= found["y"]).all()
    assert (found["y"] <= found["high"]).all()


def test_a_curve_without_a_miss_leaves_room_for_one(two):
    """Ten patients, all found before any other: the bands reach down to 0.025^(1/10), and the ROC curve ends at 1."""
    n = 10
    ill = pl.DataFrame({
        "family": "one", "sample": [f"s{at}" for at in range(n)], "patient": [f"p{at}" for at in range(n)],
        "label": "malignant", "prob_malignant": [0.8 + at / 100 for at in range(n)],
    })  # fmt: skip
    well = ill.with_columns(
        pl.format("t{}", "sample").alias("sample"), pl.format("q{}", "patient").alias("patient"),
        label=pl.lit("benign"), prob_malignant=pl.col("prob_malignant") - 0.7,
    )  # fmt: skip
    both = pl.concat([ill, well]).with_columns(prob_benign=1 - pl.col("prob_malignant"))
    found = curves(assemble(both, two), seed=0).filter(label="malignant")
    roc, precision = (found.filter(curve=name) for name in ("roc", "precision-recall"))

    assert set(roc["y"]) == set(precision["y"]) == {1.0}
    assert roc["low"][50] == precision["low"][50] == pytest.approx(0.025 ** (1 / n))
    assert (roc["low"][-1], roc["high"][-1]) == (1.0, 1.0)


def test_the_band_of_a_roc_curve_never_falls(predictions, three):
    """The curve itself cannot, so that what one point excludes is excluded farther on."""
    frame = predictions(three, {"cnn": 2.0})
    found = curves(assemble(frame, three), seed=0).filter(curve="roc")
    for (label,), one in found.group_by("label"):
        assert (one["low"].diff().drop_nulls() >= 0).all(), label
        assert (one["high"].diff().drop_nulls() >= 0).all(), label
        assert (one["low"] <= one["high"]).all(), label


def test_a_bin_in_which_everything_came_true_leaves_room_for_less(two):
    """Twelve patients, all of them ill, of whom 0.95 was stated: no draw differs; the bar ends at 0.025^(1/12)."""
    n = 12
    sure = pl.DataFrame({
        "family": "one", "sample": [f"s{at}" for at in range(2 * n)], "patient": [f"p{at // 2}" for at in range(2 * n)],
        "label": "malignant", "prob_benign": 0.05, "prob_malignant": 0.95,
    })  # fmt: skip
    unsure = sure.with_columns(
        pl.format("t{}", "sample").alias("sample"), pl.format("q{}", "patient").alias("patient"),
        label=pl.lit("benign"), prob_benign=pl.lit(0.7), prob_malignant=pl.lit(0.3),
    )  # fmt: skip
    found = curves(assemble(pl.concat([sure, unsure]), two), seed=0).filter(curve="calibration", label="malignant")
    least = 0.025 ** (1 / n)

    assert found["y"].to_list() == [0.0, 1.0]
    assert found["low"].to_list() == pytest.approx([0.0, least])
    assert found["high"].to_list() == pytest.approx([1 - least, 1.0])


def test_calibration_equals_scikit_learn(predictions, three):
    """Mean probability and share of each bin, pooled over the folds, are scikit-learn's."""
    frame = predictions(three, {"cnn": 1.0})
    ours = curves(assemble(frame, three), seed=0).filter(pl.col("curve") == "calibration", pl.col("label") == "normal")
    share, mean = calibration_curve((frame["label"] == "normal").to_numpy(), frame["prob_normal"].to_numpy(), n_bins=10)
    np.testing.assert_allclose(ours["x"], mean, atol=1e-12)
    np.testing.assert_allclose(ours["y"], share, atol=1e-12)


def test_confusion_is_summed_over_folds_and_averaged_over_seeds(predictions, three):
    """The counts are those of scikit-learn, averaged over two seeds."""
    frame = predictions(three, {"cnn": 1.0}, n_seeds=2)
    ours = curves(assemble(frame, three), seed=0).filter(pl.col("curve") == "confusion")
    columns = [f"prob_{name}" for name in three.classes]
    called = np.array(three.classes)[frame.select(columns).to_numpy().argmax(axis=1)]
    theirs = known.confusion_matrix(frame["label"].to_numpy(), called, labels=three.classes) / 2
    assert ours["y"].to_list() == pytest.approx(theirs.ravel().tolist())
