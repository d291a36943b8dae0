"""Recipes of one family, held against the usual one."""

import numpy as np
import polars as pl
import pytest

from grandrounds.errors import BadSpec
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.recipes import RESAMPLES, compared


def _held(frame, task, usual="usual", primary="auc"):
    return compared(frame, task, role="test", primary=primary, margin=0.02, usual=usual)


def test_one_other_recipe_is_compared_as_the_judge_compares_two_families(predictions, two):
    """Value, interval, paired difference and verdict are the report's own."""
    frame = predictions(two, {"other": 1.5, "usual": 0.5})
    judged = judge(frame, two, resamples=RESAMPLES)
    row = _held(frame, two).row(by_predicate=pl.col("family") == "other", named=True)
    pair = judged.comparisons.row(0, named=True)
    score = judged.scores.filter(family="other", metric="auc").row(0, named=True)  # of samples, over both classes

    assert [row[name] for name in ("mean", "low", "high")] == [score[name] for name in ("estimate", "low", "high")]
    assert row["difference"] == pair["difference"]
    assert (row["difference_low"], row["difference_high"]) == (pair["low"], pair["high"])
    assert row["verdict"] == pair["verdict"]


def test_more_recipes_have_wider_differences(predictions, two):
    """The more are held against the usual one, the surer each has to be; values keep their intervals."""
    frame = predictions(two, {"other": 1.0, "usual": 0.8, "third": 0.9, "fourth": 0.7, "fifth": 1.1})
    alone = _held(frame.filter(pl.col("family").is_in(["other", "usual"])), two).row(0, named=True)
    among = _held(frame, two).row(0, named=True)

    assert (among["low"], among["high"]) == (alone["low"], alone["high"])
    assert among["difference"] == alone["difference"]
    assert among["difference_high"] - among["difference_low"] > alone["difference_high"] - alone["difference_low"]


def test_the_spread_over_trainings_is_that_of_their_values(predictions, two):
    """Each fold and seed gives a value of its own; their standard deviation stands beside their mean."""
    frame = predictions(two, {"usual": 1.0}, n_folds=1)
    again = predictions(two, {"usual": 1.0}, n_folds=1, seed=5).with_columns(seed=pl.lit(1))
    alone = [_held(one, two).row(0, named=True)["mean"] for one in (frame, again)]
    row = _held(pl.concat([frame, again]), two).row(0, named=True)

    assert row["mean"] == pytest.approx(np.mean(alone))
    assert row["sd"] == pytest.approx(np.std(alone, ddof=1))


def test_without_a_usual_recipe_nothing_is_held_against_it(predictions, two):
    """It may have failed, or nobody named one."""
    row = _held(predictions(two, {"other": 1.0}), two).row(0, named=True)

    assert row["difference"] is row["verdict"] is None


def test_a_metric_that_cannot_decide_is_refused(predictions, two):
    """The judge's own rule on primary metrics holds here too."""
    with pytest.raises(BadSpec, match="cannot be the primary metric"):
        _held(predictions(two, {"usual": 1.0}), two, primary="calibration_slope")
