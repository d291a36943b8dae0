from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.stats import t

from grandrounds.errors import BadSpec
from grandrounds.evaluate import METRICS, recalibration
from grandrounds.evaluate.bootstrap import interval, resample
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.metrics import tally
from grandrounds.evaluate.sandwich import sandwich

SLOPE, INTERCEPT = METRICS.get("calibration_slope"), METRICS.get("calibration_intercept")


def _theirs(truth, odds, patient):
    """Return statsmodels' slope and intercept in the large with their clustered errors."""
    clustered = {"cov_type": "cluster", "cov_kwds": {"groups": patient, "use_correction": False}}
    joint = sm.GLM(truth, sm.add_constant(odds), family=sm.families.Binomial()).fit(tol=1e-12, **clustered)
    large = sm.GLM(truth, np.ones(len(truth)), family=sm.families.Binomial(), offset=odds).fit(tol=1e-12, **clustered)
    return (joint.params[1], joint.bse[1]), (large.params[0], large.bse[0])


def test_values_and_errors_equal_statsmodels(predictions, three):
    """Slope, intercept and their clustered errors equal statsmodels' in one fold, class against the others."""
    frame = predictions(three, {"cnn": 1.0}, n_folds=1)
    cohort = assemble(frame, three)
    group, n = cohort.groups[0], len(cohort.patients)
    widths = []
    for klass in range(3):
        odds = np.log(group.probs[:, klass] / (1 - group.probs[:, klass]))
        widths.append(_theirs((group.label == klass).astype(float), odds, group.patient))
    for at, entry in enumerate((SLOPE, INTERCEPT)):
        found = sandwich(cohort, "cnn", entry, level=0.05)
        np.testing.assert_allclose(found.estimate, [one[at][0] for one in widths], rtol=1e-6)
        error = np.array([one[at][1] for one in widths]) * np.sqrt(n / (n - 1))
        np.testing.assert_allclose(found.half_width, t.ppf(0.975, _carriers(group, at) - 1) * error, rtol=1e-6)


def _carriers(group, at):
    """Return who carries the slope (0), those of the rarer side of each class, or the intercept (1), everyone."""
    sides = [
        [len(np.unique(group.patient[side])) for side in (group.label == klass, group.label != klass)]
        for klass in range(3)
    ]
    return np.min(sides, axis=1) if at == 0 else np.full(3, len(np.unique(group.patient)))


def test_bootstrap_agrees_with_the_sandwich(predictions, two):
    """With many patients, fitting anew in each resample, over two seeds, gives about the same interval."""
    cohort = assemble(predictions(two, {"cnn": 1.5}, n_patients=200, n_folds=1, n_seeds=2), two)
    for entry in (SLOPE, INTERCEPT):
        drawn = resample(cohort, 200, 0, metrics=(entry,), threads=1)
        low, high = interval(drawn.values[0, drawn.at(entry.name, "malignant")])
        found = sandwich(cohort, "cnn", entry)
        assert found.estimate[1] == drawn.estimate[0, drawn.at(entry.name, "malignant")]
        assert 2 * found.half_width[1] == pytest.approx(high - low, rel=0.2)


def test_temperature_is_the_inverse_of_the_slope():
    """Log odds made twice as extreme halve the slope; a shift of them moves the intercept by as much."""
    rng = np.random.default_rng(0)
    odds, truth = rng.normal(size=300), rng.integers(2, size=300)

    def values(odds):
        probs = 1 / (1 + np.exp(-odds))
        rows = tally(truth, np.stack([1 - probs, probs], axis=1))
        return recalibration.slope(rows)[1, 0], recalibration.intercept(rows)[1, 0]

    assert values(2 * odds)[0] == pytest.approx(values(odds)[0] / 2)
    assert values(odds + 0.7)[1] == pytest.approx(values(odds)[1] - 0.7)


@pytest.mark.parametrize(
    "positive", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1], [0.4, 0.4, 0.4, 0.4], [0.1, 0.4, 0.4, 0.9]]
)
def test_a_slope_that_does_not_exist_is_nan(positive):
    """Where a threshold tells the classes apart, or nothing varies, there is no slope; an intercept there is."""
    rows = tally(np.array([0, 0, 1, 1]), np.stack([1 - np.array(positive), positive], axis=1))
    assert np.isnan(recalibration.slope(rows)).all()
    assert np.isfinite(recalibration.intercept(rows)).all()
    assert np.isnan(recalibration.slope_influence(rows)).all()


def test_probabilities_of_0_and_1_are_survived():
    """Saturated and partly wrong probabilities have a slope near 0; any intercept fits them about equally."""
    label = np.r_[np.zeros(50, int), np.ones(50, int)]
    called = np.where(np.arange(100) % 5 == 0, 1 - label, label)
    rows = tally(label, np.eye(2)[called])
    odds = np.log((1 + np.finfo(float).eps) / np.finfo(float).eps)
    assert recalibration.slope(rows)[1, 0] == pytest.approx(np.log(4) / odds, rel=1e-6)
    assert np.isnan(recalibration.intercept(rows)).all()
    label[:3] = called[:3] = 0
    assert np.isfinite(recalibration.intercept(tally(label, np.eye(2)[called]))).all()


def test_the_table_says_how_each_interval_was_made(predictions, three):
    """Refitted metrics are in the scores with their own method, intervals around the estimate, and n."""
    frame = predictions(three, {"cnn": 1.0, "vit": 0.5}, n_seeds=2)
    scores = judge(frame, three, resamples=50).scores.filter(pl.col("metric").str.starts_with("calibration_"))
    assert scores.filter(pl.col("unit") == "sample").height == 2 * 2 * 3
    assert scores["method"].unique().to_list() == ["cluster-sandwich error, t"]
    assert (scores["low"] < scores["estimate"]).all()
    assert (scores["estimate"] < scores["high"]).all()
    unknown = judge(frame, three, resamples=50, patient_known=False).scores
    assert unknown.filter(~pl.col("method").str.contains("assumes independent images")).is_empty()


def test_an_infinite_ratio_is_null_and_its_note_says_so(predictions, two):
    """Folds without a false call leave no estimate, a lower bound, and a reason."""
    frame = predictions(two, {"cnn": 9.0})
    row = judge(frame, two, resamples=100).scores.filter(
        pl.col("metric") == "lr_positive", pl.col("label") == "malignant"
    ).row(0, named=True)  # fmt: skip
    assert row["estimate"] is None
    assert row["high"] is None
    assert "infinite in" in row["note"]
    assert "no sample of another class is called malignant" in row["note"]


def test_a_ratio_is_that_of_the_shares_over_all_folds(predictions, two):
    """One fold without a false call does not make it infinite: it is sensitivity by what specificity leaves."""
    frame = predictions(two, {"cnn": 1.0}, n_folds=3)
    ill, first = pl.col("label") == "malignant", pl.col("fold") == 0
    sure = pl.when(first).then(pl.when(ill).then(0.9).otherwise(0.1)).otherwise("prob_malignant")
    frame = frame.with_columns(prob_malignant=sure, prob_benign=1 - sure)
    of_ill = pl.col("label") == "malignant"
    scores = judge(frame, two, resamples=200).scores.filter(of_ill, pl.col("unit") == "sample")
    rows = {row["metric"]: row for row in scores.iter_rows(named=True)}
    sensitivity, rest = rows["recall"]["estimate"], 1 - rows["specificity"]["estimate"]

    assert rows["lr_positive"]["estimate"] == pytest.approx(sensitivity / rest)
    assert rows["lr_negative"]["estimate"] == pytest.approx((1 - sensitivity) / (1 - rest))
    for name in ("lr_positive", "lr_negative"):
        assert rows[name]["low"] < rows[name]["estimate"] < rows[name]["high"]
        assert rows[name]["note"] is None


def test_a_metric_with_a_target_cannot_be_primary(predictions, two):
    """Nearer to 1 is neither higher nor lower: no family can lead by its calibration slope."""
    with pytest.raises(BadSpec):
        judge(predictions(two, {"cnn": 1.0}), two, primary="calibration_slope")
