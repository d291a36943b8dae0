from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from grandrounds.evaluate import compare
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.pairs import paired

AUC = METRICS.get("auc")


def _compared(frame, task, primary=AUC, margin=0.02, resamples=1000):
    cohort = assemble(frame, task)
    return compare.compare(cohort, paired(cohort, resample(cohort, resamples, 0), primary, 0), primary, margin)


@settings(deadline=None, max_examples=15)  # statsmodels collects garbage at each call
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=30))
def test_holm_equals_statsmodels(p_values):
    """Adjusted p equal statsmodels'."""
    theirs = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(compare.holm(p_values), theirs)


@given(st.lists(st.floats(0.0001, 0.2), min_size=1, max_size=30))
def test_levels_agree_with_adjusted_p(p_values):
    """A test passes at its own level exactly where its adjusted p is at most 0.05."""
    for p, adjusted, level in zip(p_values, compare.holm(p_values), compare.holm_levels(p_values), strict=True):
        if abs(adjusted - 0.05) > 1e-12:
            assert (p <= level) == (adjusted <= 0.05)


def test_identical_families_never_differ(predictions, two):
    """The same predictions under two names differ by exactly 0 and are equivalent."""
    frame = predictions(two, {"cnn": 1.0})
    row = _compared(pl.concat([frame, frame.with_columns(family=pl.lit("copy"))]), two).row(0, named=True)
    assert (row["difference"], row["low"], row["high"], row["p_adjusted"]) == (0, 0, 0, 1)
    assert row["verdict"] == "equivalent"


def test_a_plain_difference_is_better_and_turns_with_the_names(predictions, three):
    """A strong family is better than a weak one, and the weak one worse than the strong."""
    frame = predictions(three, {"strong": 4.0, "weak": 0.0}, n_patients=90)
    assert _compared(frame, three)["verdict"].to_list() == ["better"]
    assert _compared(frame.sort("family", descending=True), three)["verdict"].to_list() == ["worse"]


def test_lower_is_better_for_brier(predictions, three):
    """With a loss as the primary metric the lower family is the better one."""
    frame = predictions(three, {"strong": 4.0, "weak": 0.0}, n_patients=90)
    row = _compared(frame, three, METRICS.get("brier")).row(0, named=True)
    assert row["difference"] < 0
    assert row["verdict"] == "better"


def test_the_interval_excludes_zero_where_p_says_so(predictions, three):
    """Verdict, interval and adjusted p tell the same story for all pairs."""
    frame = predictions(three, {"a": 0.0, "b": 0.4, "c": 0.8, "d": 2.0, "e": 2.1})
    for row in _compared(frame, three).iter_rows(named=True):
        excluded = row["low"] > 0 or row["high"] < 0
        assert excluded == (row["p_adjusted"] <= 0.05) == (row["verdict"] in {"better", "worse"})


def test_families_are_compared_on_the_folds_that_both_finished(predictions, three):
    """A family that lacks a fold is not judged against the other's score on it."""
    frame = predictions(three, {"cnn": 1.0})
    part = frame.filter(pl.col("fold") != 0).with_columns(family=pl.lit("copy"))
    row = _compared(pl.concat([frame, part]), three).row(0, named=True)
    assert row["difference"] == 0


def test_families_are_compared_on_the_seeds_that_both_finished(predictions, two):
    """Losing the seeds of a hard fold is no advantage: identical predictions differ by nothing."""
    frame = predictions(two, {"cnn": 1.0}, n_seeds=3)
    shared = (pl.col("fold") != 1) | (pl.col("seed") == 0)
    row = _compared(pl.concat([frame, frame.filter(shared).with_columns(family=pl.lit("copy"))]), two).row(
        0, named=True
    )
    assert row["difference"] == 0
    assert row["verdict"] == "equivalent"


def test_two_spellings_of_a_patient_are_one_patient(predictions, two):
    """The split keeps them together, so the bootstrap must draw them together."""
    frame = predictions(two, {"cnn": 1.0})
    mixed = pl.when(pl.col("sample").str.ends_with("1")).then(pl.col("patient").str.to_uppercase())
    spelt = frame.with_columns(patient=mixed.otherwise(pl.col("patient")))
    assert len(assemble(spelt, two).patients) == len(assemble(frame, two).patients) == 40


@pytest.mark.parametrize("family", ["alone"])
def test_one_family_has_no_pair(predictions, three, family):
    """A single family leaves an empty table with all columns."""
    frame = _compared(predictions(three, {family: 1.0}), three)
    assert frame.is_empty()
    assert "verdict" in frame.columns
