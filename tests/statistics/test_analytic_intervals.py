"""Intervals without resampling cover as they say where a patient's samples are alike, and those by row do not."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.evaluate import METRICS, delong
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.sandwich import sandwich
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
N_EACH, SHIFT = 6, 1.0
# Scores of the two classes are normal, SHIFT apart, with variance 2 (one unit between patients, one within), and the
# classes are equally frequent: log odds that are right are (score - SHIFT / 2) · SHIFT / 2.
TRUE_AUC, TRUE_SLOPE, TRUE_INTERCEPT = 0.691462461274013, SHIFT / 2, -SHIFT / 2


def _scores(seed, n_patients, n_families=1):
    """Return scores (F, N) as log odds, truth and patients; a patient's effect is common to all its samples."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), N_EACH)
    truth = rng.integers(2, size=n_patients)[patient]  # drawn: the prevalence of a study varies as well
    effect = rng.normal(size=n_patients)[patient]
    return SHIFT * truth + effect + rng.normal(size=(n_families, len(patient))), truth, patient


def _cohort(odds, truth, patient):
    positive = 1 / (1 + np.exp(-odds))
    names = tuple(str(i) for i in range(len(truth)))
    group = Group("f", 0, 0, 0, truth, np.stack([1 - positive, positive], axis=1), patient, names)
    return Cohort(TASK, tuple(str(i) for i in np.unique(patient)), (group,))


def _calibration_coverage(n, n_patients):
    """Return how often the intervals of slope and intercept hold the true values, by patient and by row."""
    inside = np.zeros((n, 2, 2))
    for seed in range(n):
        (odds,), truth, patient = _scores(seed, n_patients)
        for by, unit in enumerate((patient, np.arange(len(truth)))):
            for at, (name, true) in enumerate((("slope", TRUE_SLOPE), ("intercept", TRUE_INTERCEPT))):
                found = sandwich(_cohort(odds, truth, unit), "f", METRICS.get(f"calibration_{name}"))
                inside[seed, by, at] = abs(found.estimate[1] - true) <= found.half_width[1]
    return inside.mean(axis=0)


def _auc_coverage(n, n_patients):
    inside = np.zeros((n, 2))
    for seed in range(n):
        scores, truth, patient = _scores(seed, n_patients)
        for by, unit in enumerate((patient, None)):
            low, high = delong.interval(delong.areas(scores, truth == 1, unit), 0)
            inside[seed, by] = low <= TRUE_AUC <= high
    return inside.mean(axis=0)


def _false_alarms(n, n_patients):
    """Return how often two equally good families are told apart at 5 %."""
    found = (delong.areas(scores, truth == 1, patient) for scores, truth, patient in _pairs(n, n_patients))
    return np.mean([delong.difference(one, 0, 1).p < 0.05 for one in found])


def _pairs(n, n_patients):
    return (_scores(seed, n_patients, n_families=2) for seed in range(n))


def test_clustered_errors_of_calibration_cover_and_those_by_row_do_not():
    """With 60 patients slope and intercept are covered in at least 91 % of 300 studies; by row in far fewer."""
    clustered, by_row = _calibration_coverage(300, 60)
    assert (clustered >= 0.91).all()
    assert (by_row < 0.85).all()


def test_clustered_delong_covers_and_delong_by_row_does_not():
    """With 60 patients the AUC is covered in at least 91 % of 400 studies; by row in far fewer."""
    clustered, by_row = _auc_coverage(400, 60)
    assert clustered >= 0.91
    assert by_row < 0.85


def test_clustered_delong_rarely_tells_equal_families_apart():
    """Two equally good families are called different in 2 to 9 % of 400 studies."""
    assert 0.02 <= _false_alarms(400, 60) <= 0.09


@pytest.mark.long
def test_analytic_intervals_cover_in_a_long_run():
    """2,000 studies of 100 patients: coverage lies within 2 points of 95 %, false alarms within 2 of 5 %."""
    assert _auc_coverage(2000, 100)[0] == pytest.approx(0.95, abs=0.02)
    assert _calibration_coverage(2000, 100)[0] == pytest.approx([0.95, 0.95], abs=0.02)
    assert _false_alarms(2000, 100) == pytest.approx(0.05, abs=0.02)
