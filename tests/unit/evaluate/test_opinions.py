from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from scipy.stats import permutation_test, rankdata, ttest_1samp
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as theirs

from grandrounds.evaluate import delong, permutation, rope
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.compare import holm
from grandrounds.evaluate.contrast import DECIDING, decisive
from grandrounds.evaluate.judge import judge
from grandrounds.evaluate.mcnemar import CLUSTERED, EXACT, clustered, exact, mcnemar
from grandrounds.evaluate.opinions import DELONG, opinions
from grandrounds.evaluate.pairs import paired

AUC, ACCURACY = METRICS.get("auc"), METRICS.get("accuracy")


def _opinions(cohort, primary, draws):
    pairs = paired(cohort, resample(cohort, draws, 0, metrics=(primary,)), primary, 0)
    return opinions(cohort, pairs, primary, 0.02, draws, 0)


def _right(cohort, family):
    return np.concatenate([group.probs.argmax(axis=1) == group.label for group in cohort.of(family)])


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 3), (1, 8), (12, 30)])
def test_exact_mcnemar_equals_statsmodels(only_a, only_b):
    """The exact p is statsmodels'."""
    expected = theirs([[50, only_a], [only_b, 7]], exact=True).pvalue
    assert exact(only_a, only_b, 57 + only_a + only_b).p == pytest.approx(expected)


def test_clustered_mcnemar_with_a_row_a_patient_is_mcnemar():
    """With clusters of one row Durkalski's statistic is McNemar's without continuity correction."""
    differences = np.repeat([1.0, -1.0, 0.0], [19, 8, 40])
    assert clustered(differences).p == pytest.approx(theirs([[30, 19], [8, 10]], exact=False, correction=False).pvalue)


def test_clustered_mcnemar_is_a_function_of_student_t():
    """The statistic is n·t² / (n - 1 + t²), with scipy's t of the patients' differences."""
    differences = np.random.default_rng(0).normal(0.1, size=30)
    t = ttest_1samp(differences, 0).statistic ** 2
    from_t = np.sqrt(30 * t / (29 + t))
    found = clustered(differences)
    assert abs(found.estimate) / ((found.high - found.low) / 2 / 1.959963984540054) == pytest.approx(from_t)


def test_mcnemar_picks_its_form_by_the_rows_of_a_patient(predictions, two):
    """One row a patient is exact, several are clustered, and so are several seeds."""
    single = predictions(two, {"a": 2.0, "b": 0.0}, n_each=1, n_folds=1)
    several = predictions(two, {"a": 2.0, "b": 0.0})
    seeds = predictions(two, {"a": 2.0, "b": 0.0}, n_each=1, n_folds=1, n_seeds=2)
    assert [mcnemar(assemble(one, two), "a", "b")[0] for one in (single, several, seeds)] == [
        EXACT, CLUSTERED, CLUSTERED,
    ]  # fmt: skip


def test_copied_rows_do_not_pretend_to_know_more(predictions, two):
    """Every row written four times leaves the clustered McNemar test as it was."""
    frame = predictions(two, {"a": 2.0, "b": 0.0})
    copied = pl.concat([frame.with_columns(sample=pl.col("sample") + f"-{i}") for i in range(4)])
    once, again = (mcnemar(assemble(one, two), "a", "b")[1] for one in (frame, copied))
    assert again.p == pytest.approx(once.p)
    assert again.estimate == pytest.approx(once.estimate)


def test_permuted_accuracy_equals_scipy(predictions, two):
    """With a row a patient the p is that of scipy, which goes through all permutations, within simulation error."""
    cohort = assemble(predictions(two, {"a": 1.5, "b": 0.0}, n_patients=14, n_each=1, n_folds=1), two)
    a, b = (_right(cohort, family).astype(float) for family in "ab")
    expected = permutation_test(
        (a, b), lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf
    )
    found = permutation.permutation(cohort, "a", "b", ACCURACY, 10_000, 0)
    assert found.estimate == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=4 * np.sqrt(0.25 / 10_000))


def test_permuted_auc_equals_going_through_all_swaps(predictions, two):
    """For eight patients of three samples: every way to swap their ranks, with scikit-learn's AUC."""
    cohort = assemble(predictions(two, {"a": 1.5, "b": 0.0}, n_patients=8, n_folds=1), two)
    a, b = (cohort.of(family)[0] for family in "ab")
    ranks = [rankdata(group.probs[:, 1]) for group in (a, b)]
    observed = roc_auc_score(a.label, a.probs[:, 1]) - roc_auc_score(a.label, b.probs[:, 1])
    drawn = []
    for lots in itertools.product([False, True], repeat=8):
        swap = np.array(lots)[a.patient]
        one, other = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        drawn.append(roc_auc_score(a.label, one) - roc_auc_score(a.label, other))
    found = permutation.permutation(cohort, "a", "b", AUC, 10_000, 0)
    assert found.estimate == pytest.approx(observed)
    expected = np.mean(np.abs(drawn) >= abs(observed) - 1e-12)
    assert found.p == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 10_000))


def test_a_scale_of_its_own_does_not_help_in_a_permutation(predictions, two):
    """Probabilities squeezed towards 1 rank as before: difference 0 and p 1."""
    frame = predictions(two, {"a": 1.0})
    squeezed = frame.with_columns(family=pl.lit("b"), prob_malignant=0.9 + 0.1 * pl.col("prob_malignant"))
    both = pl.concat([frame, squeezed.with_columns(prob_benign=1 - pl.col("prob_malignant"))])
    found = permutation.permutation(assemble(both, two), "a", "b", AUC, 500, 0)
    assert (found.estimate, found.p) == (0.0, 1.0)


def test_pooled_delong_of_one_fold_is_delong(predictions, two):
    """With one fold the pooled areas are those of all rows."""
    cohort = assemble(predictions(two, {"a": 1.0, "b": 0.5}, n_folds=1), two)
    scores = np.stack([cohort.of(family)[0].probs[:, 1] for family in "ab"])
    expected = delong.areas(scores, cohort.of("a")[0].label == 1, cohort.of("a")[0].patient)
    found = delong.pooled(cohort, ("a", "b"), 1)
    np.testing.assert_allclose(found.auc, expected.auc)
    np.testing.assert_allclose(found.covariance, expected.covariance)


def test_pooled_delong_adds_folds_of_other_patients_and_not_seeds_of_the_same(predictions, two):
    """Folds are independent of one another; a second seed with the same predictions tells nothing new."""
    frame = predictions(two, {"a": 1.0, "b": 0.5})
    found = delong.pooled(assemble(frame, two), ("a", "b"), 1)
    by_fold = [
        delong.pooled(assemble(frame.filter(pl.col("fold") == fold), two), ("a", "b"), 1).covariance
        for fold in range(3)
    ]
    np.testing.assert_allclose(found.covariance, sum(by_fold) / 9)
    twice = pl.concat([frame, frame.with_columns(seed=pl.lit(1), trial=pl.col("trial") + "again")])
    np.testing.assert_allclose(
        delong.pooled(assemble(twice, two), ("a", "b"), 1).covariance, found.covariance, atol=1e-15
    )


def test_the_posterior_of_a_mean_is_dirichlet(predictions, two):
    """With a row a patient, accuracy has the mean of the data and the variance Σ(x - mean)² / (n (n + 1))."""
    cohort = assemble(predictions(two, {"a": 1.0}, n_patients=60, n_each=1, n_folds=1), two)
    right = _right(cohort, "a").astype(float)
    drawn = rope.posterior(cohort, ACCURACY, 20_000, 0)["a"]
    variance = ((right - right.mean()) ** 2).sum() / (60 * 61)
    assert drawn.mean() == pytest.approx(right.mean(), abs=5 * np.sqrt(variance / 20_000))
    assert drawn.var() == pytest.approx(variance, rel=0.05)


def test_probabilities_of_the_region_sum_to_one_and_turn_with_the_sign():
    """Better, equivalent and worse share all draws; where lower is better, better and worse change places."""
    drawn = np.random.default_rng(0).normal(0.02, 0.03, size=5000)
    found, turned = rope.practical(drawn, 0.02, 1), rope.practical(drawn, 0.02, -1)
    assert found.better + found.equivalent + found.worse == pytest.approx(1)
    assert (found.better, found.worse) == (turned.worse, turned.better)
    assert found.word == "undecided"
    assert rope.practical(drawn + 0.2, 0.02, 1).word == "better"
    assert rope.practical(drawn * 0.1, 0.02, 1).word == "equivalent"
    assert np.isnan(rope.practical(np.full(3, np.nan), 0.02, 1).better)


def test_draws_that_are_all_alike_say_nothing():
    """Two families without a miss: no weighting of the patients tells them apart, which does not make them alike."""
    found = rope.practical(np.zeros(200), 0.02, 1)

    assert found.word == "undecided"
    assert np.isnan([found.low, found.better, found.equivalent]).all()


def test_holm_stays_within_a_method(predictions, two):
    """The adjusted p of DeLong are Holm's over DeLong's alone."""
    cohort = assemble(predictions(two, {"a": 0.0, "b": 0.7, "c": 1.5}), two)
    table = _opinions(cohort, AUC, 200).filter(pl.col("method") == DELONG)
    raw = [
        delong.difference(delong.pooled(cohort, pair, 1), 0, 1).p
        for pair in table.select("family_a", "family_b").iter_rows()
    ]
    np.testing.assert_allclose(table["p_adjusted"], holm(raw))


def test_second_opinions_stand_beside_the_deciding_rows(predictions, two):
    """The judge's table holds one row a method and pair; the deciding rows come first, and only they decide."""
    found = judge(predictions(two, {"a": 0.0, "b": 3.0}), two, resamples=400, practical=True).comparisons
    assert found["method"].to_list() == [DECIDING, DELONG, CLUSTERED, permutation.METHOD, rope.METHOD]
    assert found["verdict"].to_list() == ["worse"] * 5
    assert found["metric"].to_list() == ["auc", "auc", "accuracy", "auc", "auc"]
    assert decisive(found).height == 1
    assert found["p_worse"].drop_nulls().to_list() == pytest.approx([1.0], abs=0.05)
    assert found.filter(method=permutation.METHOD)["low"].to_list() == [None]


def test_several_classes_and_a_loss_have_no_delong(predictions, three):
    """DeLong is left out where it does not apply; where lower is better the permutation turns its word."""
    cohort = assemble(predictions(three, {"weak": 0.0, "strong": 3.0}), three)
    found = _opinions(cohort, METRICS.get("brier"), 400)
    assert found["method"].to_list() == [CLUSTERED, permutation.METHOD]
    assert found["verdict"].to_list() == ["worse", "worse"]
    assert found["difference"][1] > 0


def test_pairs_without_a_common_fold_have_no_opinion(predictions, two):
    """Families that finished other folds are left out, and one-class folds leave nulls and no warning."""
    frame = predictions(two, {"a": 1.0, "b": 1.0})
    apart = frame.filter((pl.col("family") == "a") == (pl.col("fold") == 0))
    assert _opinions(assemble(apart, two), AUC, 50).is_empty()
    one_class = _opinions(assemble(frame.filter(pl.col("label") == "benign"), two), AUC, 50)
    assert one_class.filter(pl.col("metric") == "auc")["difference"].to_list() == [None, None]


def test_valid_needs_no_second_opinion(predictions, two):
    """The role that only chooses gets the deciding method alone."""
    found = judge(predictions(two, {"a": 0.0, "b": 3.0}, role="valid"), two, resamples=100, role="valid")
    assert found.comparisons["method"].unique().to_list() == [DECIDING]
    assert found.selection is None


def test_second_opinions_know_what_their_draws_cannot_tell(two):
    """Ten ill without a miss and one image out of order: nobody is called equivalent, and intervals reach as far."""
    ill, order = np.arange(200) < 10, np.arange(200) / 2000
    perfect = np.where(ill, 0.9, 0.1) + order
    nearly = np.where(np.arange(200) == 50, 0.901, perfect)  # above one of the ten
    table = {"sample": [f"s{i}" for i in range(200)], "label": np.where(ill, "malignant", "benign").tolist()}
    frames = [
        pl.DataFrame({**table, "patient": table["sample"], "fold": 0, "prob_benign": 1 - p, "prob_malignant": p})
        for p in (perfect, nearly)
    ]
    named = pl.concat([frame.with_columns(family=pl.lit(name)) for frame, name in zip(frames, "ab", strict=True)])
    found = judge(named, two, resamples=400, practical=True).comparisons.filter(metric="auc")
    reach = dict(found.select("method", pl.min_horizontal(-pl.col("low"), "high")).drop_nulls().iter_rows())

    assert found["verdict"].to_list() == ["undecided"] * 4
    assert reach[DELONG] == pytest.approx(reach[DECIDING], rel=0.1)
    assert reach[rope.METHOD] == pytest.approx(reach[DECIDING], rel=0.1)
    assert found["p_equivalent"].drop_nulls().item() < 0.95
