"""What ships is looked at as it would ship: with its recalibration."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import tables
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.crossfit import applied
from grandrounds.evaluate.decide import decide
from grandrounds.evaluate.gate import ready

ASKED = {"primary": "auc", "margin": 0.2, "resamples": 200, "rope": False, "unit": "auto", "aggregation": "valid"}


@pytest.fixture
def rows(predictions, two):
    """Valid and test rows of a cheap family, and of a better one whose log odds are five times too extreme."""

    def make(n_valid=90, **options):
        sizes = (("valid", n_valid, 3), ("test", 60, 4))
        frame = pl.concat(
            predictions(two, {"loud": 2.2, "calm": 2.0}, role=role, n_patients=n, seed=seed, **options).with_columns(
                (pl.lit(role) + pl.col(name)).alias(name) for name in ("sample", "case", "patient")
            )
            for role, n, seed in sizes
        )
        odds = (pl.col("prob_malignant") / pl.col("prob_benign")) ** pl.when(family="loud").then(5).otherwise(1)
        frame = frame.with_columns(prob_malignant=odds / (1 + odds))
        return frame.with_columns(prob_benign=1 - pl.col("prob_malignant"))

    return make


def test_an_overconfident_family_ships_once_it_is_recalibrated(rows, two):
    """What a recalibration mends is not held against the better family, and the verdict says how it ships."""
    found = answer(rows(), two, tables.empty(tables.TRIALS), (), **ASKED)[1]

    assert (found.ships, found.miscalibrated) == ("loud", ())
    assert found.recalibration not in (None, "none")
    assert f"`loud` ships recalibrated ({found.recalibration}), as it was looked at for this choice." in found.sentences


def test_what_nothing_can_be_fitted_on_stays_as_stated(rows, two):
    """Nine patients of valid recalibrate nothing: the overconfident family is left out."""
    found = answer(rows(n_valid=9, n_each=30, n_folds=1), two, tables.empty(tables.TRIALS), (), **ASKED)[1]

    assert "loud" in found.miscalibrated
    assert found.ships == "calm"
    assert found.recalibration == "none"


def test_what_ships_is_what_was_judged(rows, two):
    """The calibrators of each trial give the judged rows the very probabilities that the decisions table scores."""
    frame = rows(n_folds=1)
    found = ready(frame, two, ["loud"], seed=0)
    method = found.methods["loud"]
    judged = frame.filter(role="test", family="loud")
    probs = applied(found.calibrators["loud", 0, 0, 0], tables.probs_of(judged.select("prob_benign", "prob_malignant")))
    ill = (judged["label"] == "malignant").to_numpy().astype(int)
    loss = -np.log(probs[np.arange(len(ill)), ill]).mean()
    said = decide(frame, two, resamples=20).decisions.filter(family="loud", metric="log_loss", calibration=method)

    assert said.filter(rule="probabilities")["estimate"][0] == pytest.approx(loss)


def test_labels_of_test_move_no_recalibration(rows, two):
    """Turning every label of test round leaves the calibrators and what ships as they were."""
    frame = rows()
    turned = pl.col("label").replace({"benign": "malignant", "malignant": "benign"})
    poisoned = frame.with_columns(label=pl.when(role="test").then(turned).otherwise("label"))
    one, other = (ready(each, two, ["loud", "calm"], seed=0) for each in (frame, poisoned))
    ships = [answer(each, two, tables.empty(tables.TRIALS), (), **ASKED)[1].ships for each in (frame, poisoned)]

    assert one.calibrators == other.calibrators
    assert ships == ["loud", "loud"]


def test_recalibrations_that_were_made_before_change_no_decision(rows, two):
    """Handed on from the choice of what ships, they give the very table that would be made without."""
    frame = rows()
    known = ready(frame, two, ["loud", "calm"], seed=0).told
    with_them, without = (decide(frame, two, known=one, resamples=20).decisions for one in (known, {}))

    assert with_them.equals(without)
