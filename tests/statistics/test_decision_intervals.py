"""Intervals of what rules of decision give at another prevalence hold the truth also where hardly anybody is missed."""

from __future__ import annotations

BENCHMARK = "decision_coverage"


def test_predictive_values_elsewhere_are_covered(simulation):
    """With ten of 50 patients ill, 100 studies: percentiles are too short, since often none of the ten is missed."""
    found = simulation.coverage(100, (3.29, 50, 0.2))
    shown, percentiles = found["npv_at_prevalence"]

    assert shown >= 0.93
    assert percentiles < 0.9
    assert min(found[name][0] for name in ("precision_at_prevalence", "accuracy_at_prevalence", "brier")) >= 0.87
