from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from statsmodels.stats.power import tt_solve_power

from grandrounds.evaluate import power
from grandrounds.evaluate.bootstrap import draw
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.optimism import selection

ACCURACY, BRIER = METRICS.get("accuracy"), METRICS.get("brier")


def test_equals_a_loop_over_scikit_learn(predictions, two):
    """Pick on the drawn patients, score on the others: the same with scikit-learn, row by row."""
    cohort = assemble(predictions(two, {"a": 1.0, "b": 1.2, "c": 0.9}, n_folds=1), two)
    groups = [cohort.of(family)[0] for family in cohort.families]
    times, scores = draw(len(cohort.patients), 0, 0)[groups[0].patient], []  # (N, 256)
    for r in range(100):
        inside, outside = times[:, r], times[:, r] == 0
        called = [group.probs.argmax(axis=1) for group in groups]
        best = np.argmax([accuracy_score(groups[0].label, one, sample_weight=inside) for one in called])
        scores.append(accuracy_score(groups[0].label[outside], called[best][outside]))
    found = selection([cohort], ACCURACY, 100, 0)
    assert found.corrected == pytest.approx(np.mean(scores))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(scores, (0.025, 0.975))))
    assert sum(found.picked) == pytest.approx(1)


def test_the_best_of_equals_is_flattered_and_then_is_not(predictions, two):
    """Ten families that guess: the best looks better than chance; corrected, it is chance on average."""
    found = [
        selection([assemble(predictions(two, {f"f{i}": 0.0 for i in range(10)}, seed=seed), two)], ACCURACY, 128, 0)
        for seed in range(25)
    ]
    assert np.mean([one.estimate for one in found]) > 0.54
    assert np.mean([one.corrected for one in found]) == pytest.approx(0.5, abs=0.015)


def test_a_clear_winner_needs_no_correction(predictions, two):
    """Where one family is always picked the corrected score is the score; a loss picks the lowest."""
    cohort = assemble(predictions(two, {"good": 4.0, "bad": 0.0, "worse": -1.0}), two)
    for entry in (ACCURACY, BRIER):
        found = selection([cohort], entry, 256, 0)
        assert found.picked[0] == 1
        assert found.corrected == pytest.approx(found.estimate, abs=0.01)


def test_floors_and_the_unfinished_are_not_picked(predictions, two):
    """Nobody would pick them; with fewer than two families left there is nothing to correct."""
    frame = predictions(two, {"a": 1.0, "b": 1.0, "prior": 9.0})
    frame = pl.concat(
        [frame, frame.filter(pl.col("fold") == 0, pl.col("family") == "a").with_columns(family=pl.lit("c"))]
    )
    cohort = assemble(frame, two)
    assert selection([cohort], ACCURACY, 50, 0, without=["prior"]).families == ("a", "b")
    assert selection([cohort], ACCURACY, 50, 0, without=["prior", "b"]) is None


@settings(deadline=None)
@given(error=st.floats(1e-4, 0.2), better=st.floats(0.5, 1), behind=st.floats(0, 0.4), n=st.integers(10, 1000))
def test_what_a_bounded_metric_would_show_stays_within_its_scale(error, better, behind, n):
    """From the better family down there is only so much room; more patients show less, and the middle is as it was."""
    shares = (better, better - behind)
    found = power.detectable(error, n, 1, shares)
    alone = power.detectable(error, n, 1)

    assert 0 <= found <= better
    assert power.detectable(error / 10, n, 1, shares) <= found
    assert power.detectable(1e-6, n, 1, (0.5, 0.5)) == pytest.approx(power.detectable(1e-6, n, 1), rel=1e-3)
    if behind == 0 and better > 0.9 and alone < 0.3:
        assert found >= alone


def test_near_its_end_a_scale_hides_what_a_worse_family_would_show():
    """At an AUC of 0.99 the same error leaves more open, and takes more patients, than at 0.8."""
    high, low = ((0.99, 0.99), (0.8, 0.8))

    assert power.detectable(0.005, 200, 1, high) > 1.5 * power.detectable(0.005, 200, 1, low)
    assert power.patients_needed(0.005, 200, 0.01, 1, high) > 1.5 * power.patients_needed(0.005, 200, 0.01, 1, low)
    assert 0.01 < power.detectable(0.005, 200, 1, (1.0, 0.99)) < 1


@pytest.mark.parametrize(("n", "nearly"), [(12, 0.04), (150, 0.01)])
def test_detectable_difference_and_patients_equal_statsmodels(n, nearly):
    """Both are those of the paired t-test, with few patients as with many."""
    spread, alpha = 0.3, 0.05 / 6
    error = spread * np.sqrt((n - 1) / n) / np.sqrt(n)  # of resamples, whose spread is that much smaller
    reach = power.detectable(error, n, n_tests=6)
    expected = tt_solve_power(nobs=n, alpha=alpha, power=0.8) * spread
    assert reach == pytest.approx(expected, rel=nearly)

    needed = power.patients_needed(error, n, reach, n_tests=6)
    assert needed == pytest.approx(n, abs=1)
    needed = power.patients_needed(error, n, 0.02, n_tests=6)
    wanted = tt_solve_power(effect_size=0.02 / spread, alpha=alpha, power=0.8) * (n - 1) / n
    assert needed == pytest.approx(wanted, rel=0.005)
