"""Intervals where little or nothing was missed, and the verdicts that rest on them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint

from grandrounds.evaluate import delong
from grandrounds.evaluate.bounds import of_difference, of_share
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.judge import judge
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("well", "ill"), positive="ill")


def read(ill: list[float] | np.ndarray, truth: list[int] | np.ndarray, family: str = "one") -> pl.DataFrame:
    """Return predictions of one family, one row a patient."""
    ill, truth = np.asarray(ill, dtype=float), np.asarray(truth)
    names = [f"p{at}" for at in range(len(truth))]
    return pl.DataFrame({
        "sample": names, "patient": names, "label": np.array(TASK.classes)[truth], "prob_well": 1 - ill,
        "prob_ill": ill,
    }).with_columns(family=pl.lit(family))  # fmt: skip


def perfect(truth: np.ndarray, seed: int, family: str) -> pl.DataFrame:
    """Return predictions without an error, which differ by family."""
    return read(np.where(truth == 1, 0.6, 0.1) + 0.3 * np.random.default_rng(seed).random(len(truth)), truth, family)


def overall(scores: pl.DataFrame, metric: str, label: str | None = None) -> dict[str, float]:
    """Return one row of the scores."""
    of_label = pl.col("label").is_null() if label is None else pl.col("label") == label
    return scores.filter(pl.col("metric") == metric, of_label).row(0, named=True)


def test_sixty_patients_without_a_miss_have_clopper_and_pearsons_bound():
    """Accuracy and sensitivity of 1 reach down as far as statsmodels says, AUC as far as the rarer side allows."""
    truth = np.arange(60) % 3 == 0
    scores = judge(perfect(truth.astype(int), 0, "one"), TASK, resamples=200).scores
    for row, n in ((overall(scores, "accuracy"), 60), (overall(scores, "recall", "ill"), 20),
                   (overall(scores, "specificity", "ill"), 40), (overall(scores, "auc"), 20)):  # fmt: skip
        low, _ = proportion_confint(n, n, method="beta")
        assert (row["low"], row["estimate"], row["high"]) == (pytest.approx(low), 1.0, 1.0)


@pytest.mark.parametrize("missed", [0.9, 0.5, 0.1, 1e-3, 1e-9])
def test_where_less_than_a_patient_was_missed_the_bound_is_clopper_and_pearsons_at_the_least(missed):
    """Whatever the resamples: of 12 patients the bound lies between that of one miss and that of none."""
    n, draws = 12, np.random.default_rng(0).beta(0.5, 0.05, 200)  # as far apart as resamples can be
    low, high = of_share(1 - missed / n, draws, n)
    one, none = (proportion_confint(hits, n, method="beta")[0] for hits in (n - 1, n))

    assert one < low < none + 1e-9
    assert of_share(missed / n, 1 - draws, n) == pytest.approx((1 - high, 1 - low))


def test_one_positive_patient_says_next_to_nothing():
    """Sixty-one patients of whom one is ill: an AUC of 1 may be almost anything."""
    truth = (np.arange(61) == 0).astype(int)
    rows = pl.concat([perfect(truth, 0, "one"), read(np.linspace(0.1, 0.9, 61), truth, "other")])
    found = judge(rows, TASK, resamples=200)

    assert overall(found.scores.filter(family="one"), "auc")["low"] == pytest.approx(0.025)
    assert any("Fewer than 10 patients of ill (1)" in note for note in found.notes)
    assert found.comparisons["error"][0] is None  # from which the patients that are needed would be worked out


def test_two_perfect_families_are_not_shown_to_be_equivalent_by_a_few_patients():
    """Both are without an error on forty patients, and might differ by far more than the margin."""
    truth = np.arange(40) % 2
    rows = pl.concat([perfect(truth, seed, family) for seed, family in enumerate(("one", "other"))])
    pair = judge(rows, TASK, resamples=500, margin=0.02).comparisons.row(0, named=True)

    assert pair["verdict"] == "undecided"
    assert pair["low"] < -0.1
    assert pair["high"] > 0.1


def test_families_that_differ_near_the_end_are_rarely_called_equivalent():
    """Of 40 studies of twelve patients with families 0.06 apart, at most two say equivalent within 0.02."""
    called = 0
    for seed in range(40):
        random, truth = np.random.default_rng(seed), np.arange(12) % 2
        frames = [
            read(1 / (1 + np.exp(-(shift * (truth - 0.5) + random.normal(size=12)))), truth, family)
            for family, shift in (("good", 3.5), ("less", 2.2))
        ]
        found = judge(pl.concat(frames), TASK, resamples=300).comparisons
        called += found["verdict"][0] == "equivalent"
    assert called <= 2


def test_with_a_row_a_patient_it_is_near_delongs_interval_on_the_log_odds():
    """The resamples' error is DeLong's to within simulation error."""
    random = np.random.default_rng(5)
    truth = (random.random(300) < 0.4).astype(int)
    rows = read(1 / (1 + np.exp(-(2.5 * truth + random.normal(size=300)))), truth)
    row = overall(judge(rows, TASK, resamples=4000).scores, "auc")
    low, high = delong.interval(delong.pooled(assemble(rows, TASK), ("one",), 1), 0)

    assert row["low"] == pytest.approx(low, abs=0.004)
    assert row["high"] == pytest.approx(high, abs=0.004)


def test_what_never_varies_is_known():
    """Chance is one half whoever is drawn: the prior's AUC has no error."""
    truth = np.arange(40) % 2
    row = overall(judge(read(np.full(40, 0.3), truth), TASK, resamples=200).scores, "auc")
    assert (row["low"], row["estimate"], row["high"]) == (0.5, 0.5, 0.5)


def test_a_difference_that_excludes_0_stays_as_it_was():
    """The wider bounds near the end never take away what the paired resamples show."""
    random = np.random.default_rng(0)
    one, other = np.minimum(1.0, random.normal(0.99, 0.01, 2000)), random.normal(0.7, 0.02, 2000)
    own = of_share(0.99, one, 50), of_share(0.7, other, 50)
    low, high = of_difference(one, other, own, (0.99, 0.7), 0.05)

    assert low == pytest.approx(np.sort(one - other)[49])
    assert high == pytest.approx(np.sort(one - other)[-50])
