"""Intervals of agreement beyond chance hold the truth, also where hardly anybody was missed."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.evaluate.bootstrap import resample

BENCHMARK = "agreement_coverage"


def test_the_shown_interval_covers_where_percentiles_do_not(simulation):
    """Of 100 studies with 20 patients who are hardly ever missed 88 or more hold all three values."""
    shown, percentiles = simulation.coverage(100, 0.2, 20, draws=300).T
    assert (shown >= 0.88).all()
    assert (percentiles < 0.8).all()


def test_it_covers_with_ordinary_errors_too(simulation):
    """Where percentiles do as well."""
    assert (simulation.coverage(100, 0.9, 50, draws=300) >= 0.88).all()


def test_the_truth_is_that_of_many_patients(simulation):
    """The closed form is what a study of 20,000 patients finds."""
    found = resample(simulation.study(0, 0.5, 20_000), 1, 0, metrics=simulation.ENTRIES, threads=1)
    assert np.sort(found.estimate[0]) == pytest.approx(np.sort(simulation.truth_of(0.5)), abs=0.01)


@pytest.mark.parametrize("setting", [(500, 0.02, 0.9, 0.999), (60, 0.1, 0.85, 0.99)])
def test_a_rare_finding_of_which_none_was_missed_is_covered(simulation, setting):
    """Ten or six patients with the finding, 100 studies: in many none was missed, which no resample knows."""
    shown, percentiles = simulation.rare_coverage(100, setting, draws=300).T
    assert (shown >= 0.92).all()
    assert (percentiles < 0.88).all()
