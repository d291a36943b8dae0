"""Intervals of means over classes hold the truth also where a class is rare or hardly ever missed."""

from __future__ import annotations

import pytest

BENCHMARK = "macro_coverage"


def test_balanced_accuracy_of_a_rare_finding_is_covered(simulation):
    """With ten of 200 patients ill, 150 studies: what the mean alone says is too short, since none may be missed."""
    shown, of_the_mean, percentiles = simulation.coverage(150, (200, (95, 5), (2.5, 2.5), 1))[2]
    assert shown >= 0.93
    assert max(of_the_mean, percentiles) < 0.88


@pytest.mark.parametrize("setting", [(200, (46, 46, 8), (3, 3, 4), 1), (60, (40, 40, 20), (2, 2, 4), 10)])
def test_macro_values_are_covered(simulation, setting):
    """AUC, average precision and balanced accuracy of three classes, one row a patient or several, 150 studies."""
    assert simulation.coverage(150, setting)[:, 0].min() >= 0.91


def test_a_class_of_few_does_not_speak_for_all(simulation):
    """Six patients of each of four classes, 100 studies: covered, and less often by needless length than before."""
    shown, of_the_mean, _ = simulation.coverage(100, (24, (25,) * 4, (3,) * 4, 1)).T
    assert shown.min() >= 0.9
    assert (shown < of_the_mean).all()
