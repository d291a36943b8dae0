from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.conformal import quantile
from grandrounds.evaluate.decide import decide


@pytest.fixture
def both(predictions):
    """Return the function that simulates valid and test rows, each of patients of its own."""

    def make(task, strengths, n_valid=60, n_test=60, **options):
        other = [("v" + pl.col(name)).alias(name) for name in ("sample", "case", "patient")]
        valid = predictions(task, strengths, n_patients=n_valid, seed=1, **options)
        valid = valid.with_columns(*other, role=pl.lit("valid"))
        return pl.concat([valid, predictions(task, strengths, n_patients=n_test, seed=2, **options)])

    return make


def row(found, rule, metric):
    """One row of the decisions table."""
    return found.filter(pl.col("rule").str.starts_with(rule), metric=metric).row(0, named=True)


def simulated(rng, n_patients):
    """Scores of patients, some with one image and some with ten; those with many are easier."""
    n_rows = rng.choice([1, 10], size=n_patients)
    level = rng.normal(size=n_patients) - np.where(n_rows > 1, 1.5, 0.0)
    patient = np.repeat(np.arange(n_patients), n_rows)
    return level[patient] + 0.3 * rng.normal(size=len(patient)), patient


@pytest.mark.parametrize("n_patients", [9, 20, 49])
def test_a_new_patient_is_covered_as_often_as_was_asked_for(n_patients):
    """In 4,000 simulated studies a random image of a new patient is covered nine times in ten, hardly more often."""
    rng, covered, pooled = np.random.default_rng(0), [], []
    for _ in range(4000):
        scores, patient = simulated(rng, n_patients)
        fresh = simulated(rng, 1)[0][0]
        covered.append(fresh <= quantile(scores, patient, 0.9))
        pooled.append(fresh <= quantile(scores, np.arange(len(scores)), 0.9))

    assert 0.89 < np.mean(covered) < 0.9 + 1 / (n_patients + 1) + 0.01
    assert np.mean(pooled) < 0.87  # with a vote for every image the promise is broken


def test_with_one_row_a_patient_it_is_the_order_statistic():
    """The ⌈(n + 1) · coverage⌉-th smallest of shuffled scores, ties and all."""
    rng = np.random.default_rng(1)
    for n, coverage in ((19, 0.9), (50, 0.8), (99, 0.95)):
        scores = np.round(rng.normal(size=n), 1)
        expected = np.sort(scores)[int(np.ceil((n + 1) * coverage - 1e-9)) - 1]
        assert quantile(scores, np.arange(n), coverage) == expected


def test_sets_are_counted_on_test_patient_by_patient(both, three):
    """In one fold, coverage and size are those of the sets, averaged within patients first; the promise is kept."""
    frame = both(three, {"cnn": 1.0}, n_valid=90, n_test=90, n_folds=1)
    found = decide(frame, three, Aims(coverage=0.8), resamples=200).decisions
    valid, test = (frame.filter(role=role) for role in ("valid", "test"))
    probs = {role: part.select(f"prob_{name}" for name in three.classes).to_numpy()
             for role, part in (("valid", valid), ("test", test))}  # fmt: skip
    label = {role: part["label"].replace_strict(three.classes, range(3)).to_numpy()
             for role, part in (("valid", valid), ("test", test))}  # fmt: skip
    codes = valid["patient"].rank("dense").cast(pl.Int64).to_numpy()
    bar = quantile(1 - probs["valid"][np.arange(len(codes)), label["valid"]], codes, 0.8)
    sets = 1 - probs["test"] <= bar + 1e-12
    by_patient = test.select("patient", holds=pl.Series(sets[np.arange(len(sets)), label["test"]]),
                             size=pl.Series(sets.sum(axis=1))).group_by("patient").mean()  # fmt: skip

    coverage = row(found, "sets", "coverage")
    assert coverage["estimate"] == pytest.approx(by_patient["holds"].mean())
    assert row(found, "sets", "set_size")["estimate"] == pytest.approx(by_patient["size"].mean())
    assert coverage["low"] < 0.8 < coverage["high"]
    assert coverage["threshold"] == pytest.approx(1 - bar)


def test_too_few_patients_give_sets_of_all_classes(both, two):
    """Eight patients cannot promise nine in ten: the sets hold everything, and the row says so."""
    found = decide(both(two, {"cnn": 1.0}, n_valid=8, n_folds=1), two, resamples=20).decisions
    coverage = row(found, "sets", "coverage")

    assert (coverage["estimate"], row(found, "sets", "set_size")["estimate"]) == (1.0, 2.0)
    assert "fewer than 9 patients to set it on" in coverage["note"]
    assert row(found, "sets", "right_if_decided")["estimate"] is None
    nine = decide(both(two, {"cnn": 1.0}, n_valid=9, n_folds=1), two, resamples=20).decisions
    assert row(nine, "sets", "set_size")["estimate"] < 2


def test_coverage_that_breaks_is_said(both, two):
    """On patients unlike those of valid the sets hold too seldom, and the note says that it is shown."""
    easy, hard = both(two, {"cnn": 4.0}), both(two, {"cnn": -1.0})
    frame = pl.concat([easy.filter(role="valid"), hard.filter(role="test")])
    coverage = row(decide(frame, two, resamples=200).decisions, "sets", "coverage")

    assert coverage["high"] < 0.9
    assert "shown to be short of the 0.9" in coverage["note"]


def test_a_grey_zone_trades_decisions_for_errors(both, two):
    """Who lies between the thresholds is not decided on, and of the others more are right than without abstaining."""
    frame = both(two, {"cnn": 2.0}, n_folds=1)
    found = decide(frame, two, resamples=100).decisions
    decided = row(found, "abstain", "decided")
    low, high = (row(found, name, "recall")["threshold"] for name in ("sensitivity", "specificity"))
    stated = frame.filter(role="test")["prob_malignant"]

    assert found.filter(rule="Youden")["calibration"][0] == "none"
    assert decided["estimate"] == pytest.approx(((stated < low) | (stated >= high)).mean())
    assert 0 < decided["low"] < decided["estimate"] < 1
    for metric in ("recall", "specificity"):
        assert row(found, "abstain", metric)["estimate"] > row(found, "most probable", metric)["estimate"]


def test_where_one_threshold_does_both_there_is_no_grey_zone(both, two):
    """A family that hardly errs decides on everybody."""
    found = decide(both(two, {"cnn": 12.0}, n_folds=1), two, resamples=20).decisions
    assert row(found, "abstain", "decided")["estimate"] == 1.0


def test_several_classes_have_sets_and_no_grey_zone(both, three):
    """A band needs two classes; sets of exactly one class stand for deciding."""
    found = decide(both(three, {"cnn": 1.0}), three, resamples=20).decisions

    assert not found["rule"].str.starts_with("abstain").any()
    assert row(found, "sets", "decided")["estimate"] is not None
