"""Intervals where little or nothing was missed, and the verdicts that rest on them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from grandrounds.evaluate import METRICS, delong
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.bounds import bounds, of_mean, of_paired, of_ratio, of_share
from grandrounds.evaluate.carriers import Carried, Carriers
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort, Group, assemble
from grandrounds.evaluate.differences import interval_of
from grandrounds.evaluate.estimates import Estimate
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.unseen import reach
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("well", "ill"), positive="ill")
GRADES = Task(kind="ordinal", classes=("none", "mild", "severe"))


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


@pytest.mark.parametrize("task", [TASK, GRADES])
def test_agreement_without_a_miss_reaches_as_far_as_misses_of_everybody_would_take_it(task):
    """Of 60 patients 6 % may be missed: that is so much of what kappa and Matthews correlation have above chance."""
    n = len(task.classes)
    truth = np.arange(60) % n
    probs = {f"prob_{name}": np.where(truth == at, 0.8, 0.1) for at, name in enumerate(task.classes)}
    names = [f"p{at}" for at in range(60)]
    rows = pl.DataFrame({"sample": names, "patient": names, "label": np.array(task.classes)[truth], **probs})
    total = pl.sum_horizontal(pl.col("^prob_.*$"))
    rows = rows.with_columns(pl.col("^prob_.*$") / total, family=pl.lit("one"))
    scores = judge(rows, task, resamples=200).scores
    low, _ = proportion_confint(60, 60, method="beta")

    for metric in ("kappa", "mcc"):
        row = overall(scores, metric)
        assert row["low"] == pytest.approx(1 - (1 - low) * n / (n - 1), abs=2e-3)
        assert (row["estimate"], row["high"]) == (pytest.approx(1), 1.0)
        assert "log odds" in row["method"]


def test_unseen_misses_go_as_far_as_those_that_were_seen():
    """Nobody of the last grade was missed; a quadratic kappa may be lower by the more, the farther others were off."""
    grades = Task(kind="ordinal", classes=("none", "mild", "severe", "worst"))
    truth, names = np.repeat([0, 1, 2, 3], [40, 40, 40, 6]), [f"p{at}" for at in range(126)]

    def reached(apart: int) -> float:
        called = np.where(np.arange(126) < 3, truth + apart, truth)
        group = Group("one", 0, 0, 0, truth, np.eye(4)[called], np.arange(126), tuple(names))
        down, up = reach(METRICS.get("quadratic_kappa"), Carriers.of(Cohort(grades, tuple(names), (group,)), "one"))
        assert up == 0
        return down

    assert reached(3) > 1.5 * reached(2) > 2 * reached(1) > 0


@pytest.mark.parametrize("metric", ["kappa", "mcc"])
def test_agreement_knows_that_ten_ill_patients_say_little(metric):
    """No miss of ten was seen: three may be missed, and agreement is not shown to be better than it is then."""
    row = overall(judge(rare(false_calls=10), TASK, resamples=500).scores, metric)
    worse = read(
        np.where((np.arange(200) < 10) | (np.arange(200) >= 193), 0.8, 0.1), (np.arange(200) >= 190).astype(int)
    )  # fmt: skip
    assert row["low"] < overall(judge(worse, TASK, resamples=500).scores, metric)["estimate"]


def test_likelihood_ratios_without_a_miss_follow_from_sensitivity_and_specificity():
    """Sixty patients without a miss, a third of them ill: neither 0 nor infinity is certain."""
    truth = np.arange(60) % 3 == 0
    scores = judge(perfect(truth.astype(int), 0, "one"), TASK, resamples=200).scores
    sensitivity, specificity = (overall(scores, metric, "ill")["low"] for metric in ("recall", "specificity"))
    positive, negative = (overall(scores, f"lr_{which}", "ill") for which in ("positive", "negative"))

    assert (positive["estimate"], positive["high"]) == (None, None)
    assert positive["low"] == pytest.approx(np.sqrt(sensitivity * (2 - sensitivity)) / (1 - specificity))
    assert "no upper bound" in positive["note"]
    assert (negative["low"], negative["estimate"]) == (0.0, 0.0)
    assert negative["high"] == pytest.approx((1 - sensitivity) / np.sqrt(specificity * (2 - specificity)))


def test_net_benefit_follows_from_hits_and_false_calls():
    """Sixty patients without a miss, a third of them ill: a false call in 60 was possible, and more ill or fewer."""
    truth = np.arange(60) % 3 == 0
    row = overall(judge(perfect(truth.astype(int), 0, "one"), TASK, resamples=2000).scores, "net_benefit", "ill")
    few, most = proportion_confint(0, 60, method="beta")
    ill = proportion_confint(20, 60, method="beta")

    assert row["estimate"] == pytest.approx(1 / 3)
    assert row["low"] == pytest.approx(1 / 3 - np.hypot(1 / 3 - ill[0], most - few), abs=0.02)
    assert row["high"] == pytest.approx(ill[1], abs=0.02)
    assert "two shares" in row["method"]


def test_who_never_calls_may_gain_or_lose():
    """Of forty patients nobody was called: net benefit is 0 and not known to be."""
    row = overall(judge(read(np.full(40, 0.2), np.arange(40) % 2), TASK, resamples=200).scores, "net_benefit", "ill")
    most = 1 - 0.025 ** (1 / 40)
    assert (row["low"], row["estimate"], row["high"]) == (pytest.approx(-most), 0.0, pytest.approx(most))


@settings(deadline=None)
@given(a=st.floats(0.05, 0.95), b=st.floats(0.05, 0.95), ends=st.tuples(*[st.floats(0.05, 0.95)] * 4))
def test_the_interval_of_a_ratio_solves_fiellers_equation_with_the_ends_of_its_parts(a, b, ends):
    """At each end the distance from the estimate is what the two shares' own distances amount to (Donner & Zou)."""
    (low_a, up_a, low_b, up_b) = a * ends[0], a + (1 - a) * ends[1], b * ends[2], b + (1 - b) * ends[3]
    low, high = of_ratio((a, (low_a, up_a)), (b, (low_b, up_b)))

    assert 0 < low < a / b < high
    assert (a - low * b) ** 2 == pytest.approx((a - low_a) ** 2 + (low * (up_b - b)) ** 2, rel=1e-6)
    if np.isfinite(high):
        assert (a - high * b) ** 2 == pytest.approx((up_a - a) ** 2 + (high * (b - low_b)) ** 2, rel=1e-6)


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


@pytest.mark.parametrize("primary", ["auc", "accuracy", "kappa", "mcc"])
def test_two_perfect_families_are_not_shown_to_be_equivalent_by_a_few_patients(primary):
    """Both are without an error on forty patients, and might differ by far more than the margin."""
    truth = np.arange(40) % 2
    rows = pl.concat([perfect(truth, seed, family) for seed, family in enumerate(("one", "other"))])
    pair = judge(rows, TASK, primary=primary, resamples=500, margin=0.02).comparisons.row(0, named=True)

    assert pair["verdict"] == "undecided"
    assert pair["low"] < -0.08
    assert pair["high"] > 0.08


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


@pytest.mark.parametrize(("metric", "chance"), [("auc", 0.5), ("kappa", 0.0), ("balanced_accuracy", 0.5)])
def test_what_never_varies_is_known(metric, chance):
    """Chance is chance whoever is drawn: the prior's AUC, its kappa and its balanced accuracy have no error."""
    truth = np.arange(40) % 2
    row = overall(judge(read(np.full(40, 0.3), truth), TASK, resamples=200).scores, metric)
    assert (row["low"], row["estimate"], row["high"]) == (chance, chance, chance)


def test_a_kappa_of_chance_is_not_at_the_end_of_its_scale():
    """A difference of two families that guess is what its paired resamples say, as it is of two of an AUC of 0.5."""
    random = np.random.default_rng(3)
    entry = METRICS.get("kappa")
    one, other = (Estimate(value, random.normal(value, 0.08, 2000), Carried(60, 60)) for value in (0.0, 0.02))
    ends = interval_of(one.resamples - other.resamples, -0.02, 60)

    assert of_paired(entry, one, other, 60, 0.05) == pytest.approx(ends)


def test_a_difference_that_excludes_0_stays_as_it_was():
    """The wider bounds near the end never take away what the paired resamples show."""
    random = np.random.default_rng(0)
    one = Estimate(0.99, np.minimum(1.0, random.normal(0.99, 0.01, 2000)), Carried(50, 50))
    other = Estimate(0.7, random.normal(0.7, 0.02, 2000), Carried(50, 50))
    ends = of_paired(METRICS.get("accuracy"), one, other, 50, 0.05)

    assert ends == interval_of(one.resamples - other.resamples, 0.29, 50)


def test_a_difference_that_no_draw_changes_is_no_proof():
    """Twelve patients read without a doubt beside a coin: each draw says the same, and yet the next may be missed."""
    truth = np.arange(12) % 2
    rows = pl.concat([read(truth, truth, "sure"), read(np.full(12, 0.5), truth, "coin")])
    judged = judge(rows, TASK, primary="log_loss", resamples=200)
    pair = judged.comparisons.row(0, named=True)
    own = overall(judged.scores.filter(family="sure"), "log_loss")

    assert pair["verdict"] == "undecided"
    assert pair["low"] < 0 < pair["high"]
    assert pair["p_adjusted"] == 1.0
    assert own["high"] > np.log(2)


def test_a_difference_that_no_draw_changes_may_be_as_long_as_the_scale():
    """Forty patients whom one family reads right and the other wrong: their own intervals lie far apart."""
    truth = np.arange(40) % 2
    rows = pl.concat([read(truth, truth, "right"), read(1 - truth, truth, "wrong")])
    pair = judge(rows, TASK, primary="accuracy", resamples=200).comparisons.row(0, named=True)

    assert pair["verdict"] == "better"
    assert 0.8 < pair["low"] < pair["high"]


def test_no_difference_reaches_beyond_the_scale():
    """One ill patient of twelve: *t* of so few goes far beyond what two values from 0 to 1 can differ by."""
    random = np.random.default_rng(0)
    one, other = (Estimate(value, random.uniform(0.2, 0.9, 200), Carried(2, 2)) for value in (0.9, 0.45))

    assert of_paired(METRICS.get("auc"), one, other, 2, 0.05) == (-1.0, 1.0)


def rare(false_calls: int, family: str = "one") -> pl.DataFrame:
    """Return predictions of 190 well patients, of whom some are called ill, and of ten ill ones, all called so."""
    truth = np.arange(200) >= 190
    called = truth | (np.arange(200) < false_calls)
    return read(np.where(called, 0.8, 0.1), truth.astype(int), family)


def test_balanced_accuracy_knows_that_ten_ill_patients_say_little():
    """No resample misses one of the ten, but sensitivity may be 0.69: the mean with specificity may be half as far."""
    scores = judge(rare(false_calls=10), TASK, resamples=500).scores
    row, ill, well = (
        overall(scores, *of) for of in (("balanced_accuracy",), ("recall", "ill"), ("recall", "well"))
    )  # fmt: skip
    reach = np.hypot(*(one["estimate"] - one["low"] for one in (ill, well))) / 2

    assert ill["low"] == pytest.approx(0.025 ** (1 / 10))
    assert row["low"] == pytest.approx(row["estimate"] - reach, abs=0.003)
    assert row["high"] < 1


def test_a_macro_metric_of_another_package_needs_no_classes_in_the_table():
    """Where nothing measures its classes one by one, its mean speaks for itself."""
    cohort = assemble(rare(false_calls=10), TASK)
    theirs = MetricEntry(
        "mean_npv", "mean NPV", "mean over classes", "grandrounds.evaluate.metrics:npv", "labels", "a package",
        overall="macro", carried_by="everyone",
    )  # fmt: skip
    drawn = resample(cohort, 200, 0, metrics=(theirs,))
    low, high = bounds(drawn, 0, drawn.at("mean_npv"), Carriers.of(cohort, "one"))

    assert low < drawn.estimate[0, 0] < high


def test_ten_ill_patients_do_not_show_that_two_families_are_equivalent():
    """Neither missed one of the ten, and false calls differ by one in 190; but sensitivities may differ by more."""
    both = pl.concat([rare(10, "a"), rare(11, "b")])
    found = judge(both, TASK, primary="balanced_accuracy", margin=0.02, resamples=500).comparisons
    decisive = found.row(0, named=True)
    assert (decisive["metric"], decisive["verdict"]) == ("balanced_accuracy", "undecided")
    assert decisive["high"] > 0.1


def test_a_macro_auc_of_a_class_of_five_may_be_a_fifth_lower():
    """Five patients of the third class are all ranked first, so that its AUC may be 0.48; the others' are known."""
    random = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], [100, 100, 5])
    scores = np.eye(3)[truth] + 0.6 * random.normal(size=(205, 3))
    scores[:, 2] = np.where(truth == 2, 5, -5)
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    names = [f"p{at}" for at in range(205)]
    rows = pl.DataFrame({
        "family": "one", "sample": names, "patient": names, "label": np.array(GRADES.classes)[truth],
        **{f"prob_{name}": probs[:, at] for at, name in enumerate(GRADES.classes)},
    })  # fmt: skip
    found = judge(rows, GRADES, resamples=500).scores
    macro, third = overall(found, "auc"), overall(found, "auc", "severe")

    assert (third["estimate"], third["low"]) == (1.0, pytest.approx(0.025 ** (1 / 5)))
    assert macro["estimate"] - macro["low"] == pytest.approx((1 - third["low"]) / 3, abs=0.01)


@settings(deadline=None)
@given(*(st.integers(0, 40) for _ in range(2)))
def test_a_mean_of_two_shares_has_newcombes_interval(hits, others):
    """With Wilson's bounds it is a half, and half of what statsmodels says of one less what the other leaves of 1."""
    shares = [one / 40 for one in (hits, others)]
    ends = [proportion_confint(one, 40, method="wilson") for one in (hits, others)]
    expected = confint_proportions_2indep(hits, 40, 40 - others, 40, method="newcomb", compare="diff")

    found = of_mean(shares, ends, np.ones((2, 9)))
    assert found == pytest.approx(tuple(0.5 + one / 2 for one in expected))


def test_a_mean_of_the_same_twice_is_the_same():
    """Parts that vary together take nothing off each other's interval, those that vary apart do."""
    values = np.random.default_rng(0).normal(0.8, 0.05, (2, 500))
    same, apart = of_mean([0.8] * 2, [(0.6, 0.9)] * 2, values[[0, 0]]), of_mean([0.8] * 2, [(0.6, 0.9)] * 2, values)

    assert same == pytest.approx((0.6, 0.9))
    assert apart == pytest.approx((0.8 - 0.2 / np.sqrt(2), 0.8 + 0.1 / np.sqrt(2)), abs=0.01)
