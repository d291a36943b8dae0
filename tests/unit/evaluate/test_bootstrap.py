from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from grandrounds.evaluate import bootstrap, metrics
from grandrounds.evaluate.cohort import assemble
from grandrounds.tables import probs_of


def test_weights_of_one_equal_the_point_estimate(predictions, three):
    """With one fold the estimate is the plain metric of the rows."""
    frame = predictions(three, {"cnn": 1.0}, n_folds=1)
    found = bootstrap.resample(assemble(frame, three), 10, seed=0)
    label = frame["label"].replace_strict(three.classes, range(3), return_dtype=pl.Int64).to_numpy()
    plain = metrics.tally(label, probs_of(frame))
    assert found.estimate[0, found.at("auc")] == pytest.approx(metrics.auc(plain).mean(), abs=1e-12)
    assert found.estimate[0, found.at("brier")] == pytest.approx(metrics.brier(plain)[0], abs=1e-12)
    assert found.estimate[0, found.at("recall", "fibrosis")] == metrics.recall(plain)[2, 0]


def test_resamples_equal_a_plain_loop(predictions, three):
    """Each resample is the mean over folds of the metric of the drawn patients' rows."""
    frame = predictions(three, {"cnn": 1.0})
    cohort = assemble(frame, three)
    found = bootstrap.resample(cohort, 5, seed=3)
    drawn = bootstrap.draw(len(cohort.patients), 3, 0)
    for r in range(5):
        by_fold = [metrics.tally(one.label, one.probs, drawn[one.patient, r]) for one in cohort.groups]
        macro = np.nanmean([metrics.auc(fold)[:, 0] for fold in by_fold], axis=0).mean()
        assert found.values[0, found.at("auc"), r] == pytest.approx(macro, abs=1e-12)


def test_neither_threads_nor_length_change_a_draw(predictions, three):
    """The first resamples of a longer run on other threads are the same numbers."""
    cohort = assemble(predictions(three, {"cnn": 1.0, "vit": 0.5}), three)
    short = bootstrap.resample(cohort, 100, seed=0, threads=1)
    long = bootstrap.resample(cohort, 600, seed=0, threads=3)
    np.testing.assert_array_equal(short.values, long.values[:, :, :100])


def test_the_order_of_rows_does_not_matter(predictions, three):
    """Shuffled rows give the same resamples."""
    frame = predictions(three, {"cnn": 1.0})
    one = bootstrap.resample(assemble(frame, three), 50, seed=0)
    other = bootstrap.resample(assemble(frame.sample(fraction=1, shuffle=True, seed=1), three), 50, seed=0)
    np.testing.assert_array_equal(one.values, other.values)


def test_a_class_missing_from_a_fold_is_left_out_of_the_average(predictions, three):
    """The fold without a class does not pull its recall towards 0."""
    frame = predictions(three, {"cnn": 1.0}).filter(~((pl.col("fold") == 0) & (pl.col("label") == "fibrosis")))
    cohort = assemble(frame, three)
    found = bootstrap.resample(cohort, 20, seed=0)
    others = [metrics.recall(metrics.tally(one.label, one.probs))[2, 0] for one in cohort.groups if one.fold]
    assert found.estimate[0, found.at("recall", "fibrosis")] == pytest.approx(np.mean(others))
    assert np.isfinite(found.estimate[0, found.at("auc")])


@pytest.mark.parametrize("n", [39, 100, 999, 2000])
def test_interval_and_p_agree(n):
    """The interval of a level excludes 0 exactly where p is at most that level."""
    rng = np.random.default_rng(n)
    for shift in np.linspace(0, 4, 60):
        values, level = rng.normal(shift, size=n), 0.05
        low, high = bootstrap.interval(values, level)
        assert (low > 0 or high < 0) == (bootstrap.p_value(values) <= level)


def test_p_is_never_zero():
    """Unanimous resamples still leave 2 / (R + 1)."""
    assert bootstrap.p_value(np.ones(1999)) == pytest.approx(2 / 2000)


def test_the_kernels_work_where_nothing_can_be_cached(tmp_path):
    """With no writable folder for compiled code the kernels compile in memory."""
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from grandrounds.evaluate import metrics\n"
        "rows = metrics.tally(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))\n"
        "assert metrics.auc(rows)[0, 0] == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=os.environ, timeout=120)
