"""The intervals cover and the comparisons err as often as they say, by simulation with correlated patients."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.evaluate.bootstrap import interval, resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.compare import compare
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
N_PATIENTS, N_EACH, SHIFT = 60, 6, 1.0
SPREAD = np.sqrt(2.0)  # of a score: one unit of variance between patients, one within
# The AUC of two normal scores that lie SHIFT apart: Φ(SHIFT / √(2 · SPREAD²)).
TRUE_AUC = 0.691462461274013


def _study(seed, n_families=1, n_folds=1, shared=0.0):
    """Return predictions of one simulated study; a patient's effect is common to its samples and to all families."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(N_PATIENTS), N_EACH)
    truth = rng.permutation(N_PATIENTS)[patient] % 2
    effect = rng.normal(size=N_PATIENTS)[patient]
    frames = []
    for family in range(n_families):
        own = rng.normal(size=len(patient)) if not shared else effect * shared + rng.normal(size=len(patient))
        score = 1 / (1 + np.exp(-(SHIFT * truth + effect + own)))
        columns = {
            "sample": [f"s{i:04d}" for i in range(len(patient))],
            "patient": [f"p{i:03d}" for i in patient],
            "fold": patient % n_folds,
            "label": np.array(TASK.classes)[truth],
        }
        columns |= {"prob_no": 1 - score, "prob_yes": score}
        frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(f"f{family}")))
    return pl.concat(frames)


def _covered(frame, seed):
    found = resample(assemble(frame, TASK), 256, seed, metrics=(METRICS.get("auc"),), threads=1)
    low, high = interval(found.values[0, 0])
    return low <= TRUE_AUC <= high


def _coverage(n):
    clustered = [_covered(_study(seed), seed) for seed in range(n)]
    by_row = [_covered(_study(seed).with_columns(patient=pl.col("sample")), seed) for seed in range(n)]
    return np.mean(clustered), np.mean(by_row)


def _false_alarms(n, n_families):
    """Return how often at least one of several equally good families is called better or worse."""
    alarms = 0
    for seed in range(n):
        cohort = assemble(_study(seed, n_families, n_folds=3), TASK)
        replicates = resample(cohort, 512, seed, metrics=(METRICS.get("auc"),), threads=1)
        table = compare(cohort, replicates, METRICS.get("auc"), 0.02, seed)
        alarms += table["verdict"].is_in(["better", "worse"]).any()
    return alarms / n


def test_clustered_intervals_cover_and_intervals_by_row_do_not():
    """Drawing patients covers the true AUC in at least 90 % of studies; drawing rows pretends to know more."""
    clustered, by_row = _coverage(300)
    assert clustered >= 0.90
    assert by_row < 0.85


def test_equal_families_are_rarely_told_apart():
    """Of three equally good families some pair is called different in about 5 % of studies, not more than 9 %."""
    assert _false_alarms(200, 3) <= 0.09


@pytest.mark.long
def test_clustered_intervals_cover_in_a_long_run():
    """2,000 studies: coverage lies within 3 points of 95 %."""
    clustered, _ = _coverage(2000)
    assert clustered == pytest.approx(0.95, abs=0.03)


@pytest.mark.long
def test_equal_families_are_rarely_told_apart_in_a_long_run():
    """1,500 studies: the family-wise error stays within simulation error of 5 %, or below."""
    assert _false_alarms(1500, 4) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
