"""A paired difference of few patients: how far out percentiles are taken, and what p goes with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_1samp

from grandrounds.evaluate.bootstrap import interval, p_value
from grandrounds.evaluate.differences import farther, interval_of, nearer, p_of

LEVELS, PATIENTS = st.floats(1e-4, 0.5), st.integers(6, 5000)


@settings(deadline=None)
@given(LEVELS, PATIENTS)
def test_what_is_taken_farther_out_comes_back_as_the_same_p(level, n):
    """The two are inverse, and few patients never make a level less strict."""
    assert nearer(farther(level, n), n) == pytest.approx(level)
    assert 0 < farther(level, n) < level


@settings(deadline=None)
@given(LEVELS | st.floats(1e-3, 0.02), st.integers(6, 400), st.floats(-4, 4), st.integers(0, 2**32 - 1))
@example(0.009, 400, 2.75, 3)  # t excludes 0, and yet a resample lies beyond it
def test_the_interval_excludes_0_where_p_is_at_most_the_level(level, n, centre, seed):
    """Whether resamples reach that far or not."""
    differences = np.random.default_rng(seed).normal(centre, 1.0, 199)
    low, high = interval_of(differences, centre, n, level)
    p = p_of(differences, centre, n)
    if abs(p - level) > 1e-9:
        assert (low > 0 or high < 0) == (p <= level)


@pytest.mark.parametrize("n", [6, 12, 40])
def test_of_patients_one_by_one_it_is_students_t(n):
    """Means of resampled patients: interval and p are about those of the paired t-test."""
    random = np.random.default_rng(0)
    patients = random.normal(0.3, 1.0, n)
    drawn = patients[random.integers(n, size=(200_000, n))].mean(axis=1)
    theirs = ttest_1samp(patients, 0.0)
    width = 2 * t.ppf(0.975, n - 1) * patients.std(ddof=1) / np.sqrt(n)

    assert np.ptp(interval_of(drawn, patients.mean(), n)) == pytest.approx(width, rel=0.07)
    assert p_of(drawn, patients.mean(), n) == pytest.approx(theirs.pvalue, rel=0.25)
    assert np.ptp(interval(drawn)) < 0.97 * width


def test_what_no_resample_reaches_is_left_to_students_t():
    """Percentiles of 999 resamples of twelve patients end at a p above 0.005; a difference of 8 errors has less."""
    differences = np.random.default_rng(1).normal(8.0, 1.0, 999)
    assert nearer(p_value(differences), 12) > 0.005
    assert p_of(differences, 8.0, 12) == pytest.approx(2 * t.sf(8 / (differences.std() * np.sqrt(12 / 11)), 11))
    low, high = interval_of(differences, 8.0, 12, level=1e-5)
    assert 0 < low < differences.min()
    assert high > differences.max()


def test_of_many_patients_percentiles_are_what_they_were():
    """Ten thousand patients: neither t nor the root makes a difference to a thousand resamples."""
    differences = np.random.default_rng(2).normal(0.5, 1.0, 1999)
    assert interval_of(differences, 0.5, 10_000) == pytest.approx(interval(differences), abs=0.02)
    assert p_of(differences, 0.5, 10_000) == pytest.approx(p_value(differences), rel=0.02)


def test_nothing_defined_has_neither():
    """As where no resample has both classes."""
    nowhere = np.full(99, np.nan)
    assert np.isnan(interval_of(nowhere, 0.1, 12)).all()
    assert np.isnan(p_of(nowhere, 0.1, 12))
