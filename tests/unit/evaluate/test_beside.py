from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from grandrounds import tables
from grandrounds.evaluate import METRICS, delong, retraining
from grandrounds.evaluate.bca import bca, leaving_out, n_groups
from grandrounds.evaluate.beside import ANEW, BCA, CLOPPER_PEARSON, DELONG, FOLDS, SEEDS, WILSON, beside
from grandrounds.evaluate.bootstrap import left_out, resample
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.judge import judge

ACCURACY = METRICS.get("accuracy")


def _beside(frame, task, n_valid=0.0, resamples=200):
    cohort = assemble(frame, task)
    return beside(cohort, resample(cohort, resamples, 0), n_valid)


def test_bca_equals_scipy(predictions, two):
    """With a row a patient, on our own draws, scipy's BCa gives the same bounds up to one place among the draws."""
    cohort = assemble(predictions(two, {"cnn": 2.0}, n_patients=80, n_each=1, n_folds=1), two)
    drawn = resample(cohort, 4000, 0, metrics=(ACCURACY,))
    low, high = bca(drawn.estimate[0, 0], drawn.values[0, 0], left_out(cohort, metrics=(ACCURACY,))[0, 0])
    (group,) = cohort.groups
    right = (group.probs.argmax(axis=1) == group.label).astype(float)
    ours = SimpleNamespace(bootstrap_distribution=drawn.values[0, 0])
    theirs = stats.bootstrap((right,), np.mean, n_resamples=0, bootstrap_result=ours, method="BCa")
    assert low == pytest.approx(theirs.confidence_interval.low, abs=1 / 80 + 1e-9)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=1 / 80 + 1e-9)
    assert low < np.quantile(drawn.values[0, 0], 0.025) + 1 / 80  # a share above one half is skewed to the left


def test_bca_of_a_symmetric_statistic_is_the_percentile_interval():
    """Without bias and acceleration nothing moves."""
    values = np.arange(-50.0, 51.0)
    assert bca(0.0, values, np.array([-1.0, 0.0, 1.0])) == (-49.0, 49.0)


def test_bca_is_undefined_where_it_has_nothing_to_say():
    """All draws above the estimate, a value that never changes, an infinite one."""
    some, changing = np.array([0.5, 0.6, 0.7]), np.array([0.1, 0.2])
    assert all(np.isnan(bca(0.4, some, changing)))
    assert all(np.isnan(bca(0.6, some, np.array([0.6, 0.6]))))
    assert all(np.isnan(bca(np.inf, some, changing)))


def test_groups_of_patients_stand_for_patients():
    """Two thousand patients are left out in 256 groups, everybody once."""
    weights = leaving_out(2000, np.arange(n_groups(2000)))
    assert weights.shape == (2000, 256)
    assert (weights == 0).sum(axis=1).tolist() == [1] * 2000


def test_shares_have_exact_intervals_only_with_one_row_a_patient(predictions, two):
    """Wilson and Clopper-Pearson as statsmodels has them; none where patients have several rows, or there are folds."""
    found = _beside(predictions(two, {"cnn": 2.0}, n_patients=60, n_each=1, n_folds=1), two)
    recall = found.filter(pl.col("metric") == "recall", pl.col("label") == "malignant")
    for ours, theirs in ((WILSON, "wilson"), (CLOPPER_PEARSON, "beta")):
        row = recall.filter(pl.col("method") == ours).row(0, named=True)
        hits = round(row["estimate"] * row["n"])
        assert (row["low"], row["high"]) == pytest.approx(proportion_confint(hits, row["n"], method=theirs))
    assert set(found.filter(pl.col("method") == WILSON)["metric"]) == {
        "accuracy", "recall", "specificity", "precision", "npv",
    }  # fmt: skip
    for frame in (predictions(two, {"cnn": 2.0}, n_folds=1), predictions(two, {"cnn": 2.0}, n_each=1)):
        assert WILSON not in _beside(frame, two)["method"].to_list()


def test_the_auc_has_delongs_interval_beside_it(predictions, two):
    """Of the positive class as the overall value, and clustered by patient."""
    frame = predictions(two, {"cnn": 1.0})
    row = _beside(frame, two).filter(pl.col("method") == DELONG, pl.col("label").is_null()).row(0, named=True)
    low, high = delong.interval(delong.pooled(assemble(frame, two), ("cnn",), 1), 0)
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_folds_and_seeds_are_spread_apart_from_sampling(predictions, two):
    """The spread over folds is the standard deviation of fold means, that over seeds of seed means."""
    frame = predictions(two, {"cnn": 1.0}, n_folds=4, n_seeds=3)
    cohort = assemble(frame, two)
    replicates = resample(cohort, 99, 0, metrics=(ACCURACY,))
    values = replicates.by_group[0][:, 0]
    table = {(group.fold, group.seed): value for group, value in zip(cohort.groups, values, strict=True)}
    by_fold = [np.mean([table[fold, seed] for seed in range(3)]) for fold in range(4)]
    by_seed = [np.mean([table[fold, seed] for fold in range(4)]) for seed in range(3)]
    found = _beside(frame, two).filter(pl.col("metric") == "accuracy").rows_by_key("method", named=True, unique=True)
    assert found[FOLDS]["error"] == pytest.approx(np.std(by_fold, ddof=1))
    assert (found[FOLDS]["low"], found[FOLDS]["high"]) == pytest.approx((min(by_fold), max(by_fold)))
    assert found[SEEDS]["error"] == pytest.approx(np.std(by_seed, ddof=1))
    assert (found[FOLDS]["n"], found[SEEDS]["n"], found[ANEW]["n"]) == (4, 3, 4)


def test_training_anew_is_the_t_interval_widened_by_what_training_sets_share(predictions, two):
    """Without sharing it is scipy's t-interval; five folds without valid test one patient for four trained."""
    cohort = assemble(predictions(two, {"cnn": 1.0}, n_patients=40, n_folds=5), two)
    values = np.array([0.7, 0.8, 0.75, 0.9, 0.72])
    plain = retraining.anew(cohort.groups, values, 0.0)
    assert (plain.low, plain.high) == pytest.approx(stats.t.interval(0.95, 4, values.mean(), stats.sem(values)))
    ratio = retraining.tested_to_trained(cohort.groups, 0)
    assert ratio == pytest.approx(1 / 4)
    assert retraining.tested_to_trained(cohort.groups, 8) == pytest.approx(8 / 24)
    corrected = retraining.anew(cohort.groups, values, ratio)
    assert corrected.error == pytest.approx(plain.error * np.sqrt((1 / 5 + 1 / 4) / (1 / 5)))


def test_a_fold_that_a_family_lacks_was_trained_on_in_its_others(predictions, two):
    """Its patients are no fewer to train on for not being tested: the ratio is the one of the other family."""
    frame = predictions(two, {"cnn": 1.0, "vit": 0.5}, n_folds=3)
    lacking = frame.filter((pl.col("family") != "vit") | (pl.col("fold") != 2))
    notes = _beside(lacking, two).filter(pl.col("method") == ANEW)["note"].unique().to_list()

    assert notes == ["patients tested by patients trained: 0.50"]


def test_training_anew_ends_where_the_scale_does(predictions, two):
    """Student's *t* of two folds goes far beyond; no AUC is below 0 or above 1."""
    found = _beside(predictions(two, {"cnn": 0.3}, n_patients=24, n_folds=2), two).filter(
        pl.col("method") == ANEW, pl.col("metric").is_in(["auc", "accuracy"])
    )
    assert found["low"].min() == 0
    assert found["high"].max() == 1


def test_one_fold_cannot_say_what_training_adds(predictions, two):
    """The row stands there without bounds, and its note says why."""
    found = _beside(predictions(two, {"cnn": 1.0}, n_folds=1), two).filter(pl.col("method") == ANEW)
    assert found["low"].null_count() == found.height
    assert all("cannot be estimated" in note for note in found["note"])


def test_the_judge_brings_the_table_at_the_declared_level(predictions, three):
    """Every family, its schema kept, no number that is infinite, and BCa beside each resampled score."""
    found = judge(predictions(three, {"cnn": 1.0, "vit": 0.5}, n_seeds=2), three, resamples=99)
    assert tables.check(found.intervals, tables.INTERVALS).equals(found.intervals)
    assert set(found.intervals["family"]) == {"cnn", "vit"}
    key = ["family", "metric", "label"]
    scores = found.scores.filter(pl.col("unit") == found.unit, ~pl.col("metric").str.starts_with("calibration_"))
    assert scores.join(found.intervals.filter(method=BCA), on=key, nulls_equal=True).height == scores.height
    assert any(note.startswith("Trained anew on other patients like these") for note in found.notes)
