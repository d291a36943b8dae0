"""Intervals of what adds up distances hold the truth, though drawing alone lifts every resample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandrounds.evaluate.bounds import of_distance
from grandrounds.evaluate.brier_parts import reliability, reliability_by_chance
from grandrounds.evaluate.metrics import ece, ece_by_chance, tally

BENCHMARK = "calibration_coverage"
CALIBRATED, TOO_SURE = 1.0, 0.7


@pytest.mark.parametrize("slope", [CALIBRATED, TOO_SURE])
def test_the_shown_interval_covers_where_percentiles_do_not(simulation, slope):
    """Of 100 studies with 50 patients 88 or more hold calibration error, reliability and resolution."""
    shown, percentiles = simulation.coverage(100, slope, 50, draws=300).T
    assert (shown >= 0.88).all()
    assert (percentiles < 0.9).all()


def test_percentiles_never_hold_a_calibration_error_of_0(simulation):
    """That is why they are not shown."""
    assert (simulation.coverage(20, CALIBRATED, 50, draws=300)[:2, 1] == 0).all()


def test_bars_of_a_calibration_curve_cover(simulation):
    """Of the bars of 60 calibrated families with 20 patients each, nine in ten or more hold what is stated."""
    held = [simulation.held_by_bars(seed, 20) for seed in range(60)]
    assert min(np.concatenate(some).mean() for some in zip(*held, strict=True)) >= 0.9


@pytest.mark.parametrize(("value", "by_chance"), [(ece, ece_by_chance), (reliability, reliability_by_chance)])
def test_what_drawing_makes_is_the_value_itself_where_the_rows_have_no_gap(value, by_chance):
    """Five of ten rows that state one half are right: every draw that has another share lacks what it says."""
    label, probs = np.arange(10) % 2, np.full((10, 2), 0.5)
    weights = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), size=40)
    rows = tally(label, probs, weights)

    assert by_chance(rows) == pytest.approx(value(rows))
    assert by_chance(tally(label, probs)) == pytest.approx([0.0])


@pytest.mark.parametrize("by_chance", [ece_by_chance, reliability_by_chance])
def test_without_a_row_nothing_is_defined(by_chance):
    """A fold of which no patient was drawn has no value."""
    rows = tally(np.array([0, 1]), np.full((2, 2), 0.5), np.zeros((1, 2), int))
    assert np.isnan(by_chance(rows)).all()


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=40, max_size=60),
    st.lists(st.floats(0, 1), min_size=40, max_size=60),
)
def test_an_interval_holds_its_value_and_does_not_go_below_0(estimate, values, by_chance):
    """Whatever the draws say."""
    low, high = of_distance(estimate, np.array(values), np.array(by_chance))
    assert 0 <= low <= estimate <= high


def test_what_chance_can_make_begins_at_0_and_more_does_not():
    """The bound rises with the value from where drawing alone makes as much in 2.5 % of the resamples."""
    by_chance = np.linspace(0, 0.04, 999)
    lows = [of_distance(value, np.linspace(value, value + 0.06, 999), by_chance)[0] for value in (0.03, 0.04, 0.1, 0.2)]
    assert lows[0] == 0
    assert 0 < lows[1] < lows[2] < lows[3] < 0.2
