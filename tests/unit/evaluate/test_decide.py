from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, log_loss, roc_curve
from statsmodels.stats.proportion import proportion_confint

from grandrounds import tables
from grandrounds.errors import BadSpec
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.decide import decide
from grandrounds.evaluate.prevalence import moved, npv_at, ppv_at
from grandrounds.evaluate.score import score
from grandrounds.evaluate.thresholds import for_price, for_sensitivity, for_specificity, operating
from grandrounds.specs import parse

AT_PREVALENCE = ("npv_at_prevalence", "accuracy_at_prevalence", "precision_at_prevalence")


def settled(frame):
    """The same rows as other patients of the role valid."""
    other = [("v" + pl.col(name)).alias(name) for name in ("sample", "case", "patient")]
    return frame.with_columns(*other, role=pl.lit("valid"))


@pytest.fixture
def both(predictions):
    """Return the function that simulates valid and test rows, each of patients of its own."""

    def make(task, strengths, n_valid=60, n_test=60, **options):
        valid = settled(predictions(task, strengths, n_patients=n_valid, seed=1, **options))
        return pl.concat([valid, predictions(task, strengths, n_patients=n_test, seed=2, **options)])

    return make


def rule(frame, name, metric, **more):
    """One row of the decisions table."""
    return frame.filter(pl.col("rule").str.starts_with(name), metric=metric, **more).row(0, named=True)


def test_thresholds_are_those_of_a_roc_curve():
    """Each threshold is the best point of scikit-learn's curve for what is asked."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=500).astype(bool)
    stated = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1), 2)  # with ties
    alarms, hits, at = roc_curve(truth, stated, drop_intermediate=False)
    points = operating(stated, truth)

    assert for_sensitivity(points, 0.9) == at[np.argmax(hits >= 0.9)]
    assert for_specificity(points, 0.9) == at[np.flatnonzero(1 - alarms >= 0.9)[-1]]
    assert for_price(points, 1, 1) == at[np.argmax(hits - alarms)]
    assert for_price(points, 5 * 0.1, 0.9) == at[np.argmax(0.5 * hits - 0.9 * alarms)]


def test_an_impossible_specificity_calls_nobody():
    """Where the likeliest row is wrong, only an infinite threshold has a specificity of 1."""
    points = operating(np.array([0.9, 0.5]), np.array([False, True]))
    assert for_specificity(points, 0.99) == np.inf
    assert operating(np.array([0.9, 0.5]), np.array([True, True])) is None


def test_rates_on_test_are_those_of_the_threshold_set_on_valid(both, two):
    """In one fold the four rates are counted from scikit-learn's confusion matrix at valid's Youden point."""
    frame = both(two, {"cnn": 2.0}, n_folds=1)
    found = decide(frame, two, resamples=100).decisions
    valid, test = (frame.filter(role=role) for role in ("valid", "test"))
    threshold = rule(found, "Youden", "recall")["threshold"]
    calibration = rule(found, "Youden", "recall")["calibration"]
    alarms, hits, at = roc_curve(valid["label"] == "malignant", valid["prob_malignant"], drop_intermediate=False)

    assert calibration == "none"
    assert threshold == at[np.argmax(hits - alarms)]
    rest, alarm, missed, hit = confusion_matrix(
        test["label"] == "malignant", test["prob_malignant"] >= threshold
    ).ravel()
    expected = {"recall": hit / (hit + missed), "specificity": rest / (rest + alarm), "precision": hit / (hit + alarm),
                "npv": rest / (rest + missed)}  # fmt: skip
    for metric, value in expected.items():
        row = rule(found, "Youden", metric)
        assert row["estimate"] == pytest.approx(value)
        assert row["low"] < value < row["high"]
        assert row["n_patients"] == 60


def test_accuracy_stands_at_one_half_and_at_thresholds_of_valid(both, two):
    """As stated a class is called from one half on; the most accurate threshold is valid's, and test only counts."""
    frame = both(two, {"cnn": 2.0}, n_folds=1)
    found = decide(frame, two, resamples=100).decisions
    valid, test = (frame.filter(role=role) for role in ("valid", "test"))

    def accuracy(rows, threshold):
        return ((rows["prob_malignant"] >= threshold) == (rows["label"] == "malignant")).mean()

    half, best = (rule(found, name, "accuracy") for name in ("most probable class", "greatest accuracy"))
    assert half["threshold"] == 0.5
    assert half["estimate"] == pytest.approx(accuracy(test, 0.5))
    assert best["calibration"] == "none"
    assert best["estimate"] == pytest.approx(accuracy(test, best["threshold"]))
    assert accuracy(valid, best["threshold"]) == max(accuracy(valid, one) for one in valid["prob_malignant"])
    for row in (half, best):
        assert row["low"] < row["estimate"] < row["high"]


def test_accuracy_of_several_classes_is_that_of_the_most_probable(both, three):
    """With more classes accuracy is of all of them together, as stated and after what recalibration changed."""
    found = decide(both(three, {"cnn": 2.0}), three, resamples=100).decisions
    test = both(three, {"cnn": 2.0}).filter(role="test")
    likeliest = test.select(f"prob_{name}" for name in three.classes).to_numpy().argmax(axis=1)
    right = [
        (np.array(three.classes)[part["at"].to_numpy()] == part["label"].to_numpy()).mean()
        for part in test.with_columns(at=likeliest).partition_by("fold")
    ]
    rows = found.filter(metric="accuracy")

    assert rows["label"].null_count() == rows.height
    stated = rows.filter(calibration="none").row(0, named=True)
    assert stated["rule"] == "most probable class"
    assert stated["estimate"] == pytest.approx(np.mean(right))
    assert stated["low"] < stated["estimate"] < stated["high"]


def test_grades_are_called_by_the_nearest_to_the_expected_one_as_well(both, three):
    """With ordered classes two rules stand beside each other, each with scikit-learn's kappa and accuracy."""
    task = three.replaced(kind="ordinal")
    rows = both(task, {"cnn": 1.0}, n_test=90)
    found = decide(rows, task, resamples=200).decisions.filter(pl.col("label").is_null(), calibration="none")
    parts = rows.filter(role="test").partition_by("fold")
    truth = [part["label"].replace_strict({name: k for k, name in enumerate(task.classes)}) for part in parts]
    stated = [part.select(f"prob_{name}" for name in task.classes).to_numpy() for part in parts]
    calls = {
        "most probable": [one.argmax(axis=1) for one in stated],
        "grade nearest": [one @ range(3) for one in stated],
    }

    for name, by_fold in calls.items():
        pairs = [(true, np.rint(called)) for true, called in zip(truth, by_fold, strict=True)]
        kappa, accuracy = rule(found, name, "quadratic_kappa"), rule(found, name, "accuracy")
        assert kappa["estimate"] == pytest.approx(
            np.mean([cohen_kappa_score(*one, weights="quadratic") for one in pairs])
        )
        assert accuracy["estimate"] == pytest.approx(np.mean([accuracy_score(*one) for one in pairs]))
        assert kappa["low"] < kappa["estimate"] < kappa["high"]
    assert rule(found, "grade", "accuracy")["estimate"] != rule(found, "most", "accuracy")["estimate"]


@pytest.mark.parametrize("never_missed", [("fibrosis",), ("normal", "emphysema", "fibrosis")])
def test_grades_without_a_miss_leave_agreement_open(both, three, never_missed):
    """The kappa of the calls as stated has the interval that the table of scores gives it, also without an error."""
    task = three.replaced(kind="ordinal")
    rows, hit = both(task, {"cnn": 1.5}, n_folds=1), pl.col("label").is_in(never_missed)
    stated = {name: pl.when(hit).then(pl.col("label") == name).otherwise(f"prob_{name}") for name in task.classes}
    rows = rows.with_columns(**{f"prob_{name}": one.cast(pl.Float64) for name, one in stated.items()})
    cohort = assemble(rows, task)
    drawn = resample(cohort, 300, 0, metrics=[METRICS.get("quadratic_kappa")])
    scored = score(cohort, drawn, method="").row(0, named=True)
    given = rule(decide(rows, task, resamples=300).decisions, "most probable", "quadratic_kappa")

    numbers = ("estimate", "low", "high")
    assert [given[one] for one in numbers] == pytest.approx([scored[one] for one in numbers])
    assert given["low"] < given["estimate"]


def test_the_tables_keep_their_schema_and_say_where_rules_come_from(both, two):
    """Every row names the role that it was set on; the table is a decisions table; the seed repeats it."""
    frame = both(two, {"cnn": 1.0, "vit": 0.5}, n_seeds=2)
    found = decide(frame, two, resamples=50, seed=3)

    assert tables.check(found.decisions, tables.DECISIONS).equals(found.decisions)
    assert found.decisions["chosen_on"].unique().to_list() == ["valid, cross-fitted by patient"]
    assert found.decisions.equals(decide(frame, two, resamples=50, seed=3).decisions)
    assert set(found.decisions["family"]) == {"cnn", "vit"}


def test_test_labels_move_no_threshold_and_no_calibration(both, two):
    """With the labels of test turned round, every rule is set as before; what it gives is not."""
    frame = both(two, {"cnn": 1.0})
    turned = {"benign": "malignant", "malignant": "benign"}
    poisoned = frame.with_columns(
        label=pl.when(role="test").then(pl.col("label").replace(turned)).otherwise(pl.col("label"))
    )
    one, other = (decide(each, two, resamples=50).decisions for each in (frame, poisoned))
    kept = ["family", "rule", "label", "calibration", "threshold", "metric"]

    assert one.select(kept).equals(other.select(kept))
    assert not one["estimate"].equals(other["estimate"])


def test_overconfident_probabilities_are_recalibrated(both, two):
    """Log odds three times too extreme: a recalibration is chosen on valid, and on test slope and log loss improve."""
    frame = both(two, {"cnn": 2.0}, n_valid=150, n_test=150, n_folds=1)
    odds = (pl.col("prob_malignant") / pl.col("prob_benign")).log() * 3
    frame = frame.with_columns(prob_malignant=1 / (1 + (-odds).exp())).with_columns(
        prob_benign=1 - pl.col("prob_malignant")
    )
    found = decide(frame, two, resamples=100).decisions
    used = rule(found, "Youden", "recall")["calibration"]
    before, after = (
        {row["metric"]: row for row in found.filter(rule="probabilities", calibration=one).iter_rows(named=True)}
        for one in ("none", used)
    )

    assert used != "none"
    assert after["log_loss"]["estimate"] < before["log_loss"]["estimate"]
    assert abs(after["calibration_slope"]["estimate"] - 1) < abs(before["calibration_slope"]["estimate"] - 1)
    assert before["calibration_slope"]["high"] < 1
    assert "least log loss" in after["log_loss"]["note"]
    test = frame.filter(role="test")
    assert before["log_loss"]["estimate"] == pytest.approx(
        log_loss(test["label"] == "malignant", test["prob_malignant"])
    )


def test_with_fifty_calibration_patients_these_are_used(both, two):
    """A role calib of fifty is fitted on as a whole; of forty it is passed over for valid."""
    frame = both(two, {"cnn": 1.0}, n_valid=50, n_folds=1)
    renamed = pl.when(role="valid").then(pl.lit("calib")).otherwise(pl.col("role"))
    frame = frame.with_columns(role=renamed)
    assert decide(frame, two, resamples=20).decisions["chosen_on"].unique().to_list() == ["calib"]

    fewer = frame.filter((pl.col("role") == "test") | (pl.col("patient") < "vp040"))
    assert decide(fewer, two, resamples=20).decisions["chosen_on"].unique().to_list() == [
        "calib, cross-fitted by patient"
    ]
    with_valid = pl.concat([fewer, both(two, {"cnn": 1.0}, n_valid=30).filter(role="valid")])
    assert "valid, cross-fitted by patient" in decide(with_valid, two, resamples=20).decisions["chosen_on"]


def test_with_calib_beside_valid_thresholds_stay_on_valid(both, two):
    """Calibrators come from calib alone, thresholds from valid alone, and the frame says so."""
    frame = both(two, {"cnn": 2.0}, n_folds=1, n_valid=80)
    odds = (pl.col("prob_malignant") / pl.col("prob_benign")).log() * 4
    frame = frame.with_columns(prob_malignant=1 / (1 + (-odds).exp()))
    frame = frame.with_columns(prob_benign=1 - pl.col("prob_malignant"))
    calib = frame.filter(role="valid").with_columns(
        pl.lit("calib").alias("role"), ("c" + pl.col("patient")).alias("patient")
    )
    whole = pl.concat([frame, calib.with_columns(("c" + pl.col("sample")).alias("sample"))])
    found = decide(whole, two, resamples=20)
    turned = {"benign": "malignant", "malignant": "benign"}

    def poisoned(role):
        label = pl.when(role=role).then(pl.col("label").replace(turned)).otherwise(pl.col("label"))
        return rule(decide(whole.with_columns(label=label), two, resamples=20).decisions, "Youden", "recall")

    youden = rule(found.decisions, "Youden", "recall")
    assert youden["chosen_on"] == "valid, recalibrated on calib"
    assert youden["calibration"] != "none"
    assert rule(found.decisions, "sets that hold", "coverage")["chosen_on"] == "calib"
    assert "recalibrated on calib, whose patients nothing was trained or chosen on" in found.notes[0]
    assert poisoned("calib")["threshold"] != youden["threshold"]  # the scale is another one
    assert poisoned("valid")["calibration"] == youden["calibration"]
    assert poisoned("valid")["threshold"] != youden["threshold"]


def test_fifty_patients_are_fifty_in_each_trial(both, two):
    """Sixty patients of calib in three folds are twenty a trial: too few, so valid is cross-fitted."""
    frame = both(two, {"cnn": 1.0}, n_valid=60)
    calib = frame.filter(role="valid").with_columns(("c" + pl.col(name)).alias(name) for name in ("sample", "patient"))
    found = decide(pl.concat([frame, calib.with_columns(role=pl.lit("calib"))]), two, resamples=20)

    assert found.decisions["chosen_on"].unique().to_list() == ["valid, cross-fitted by patient"]
    assert "fewer than 50 patients" in found.notes[0]


def test_several_classes_are_called_one_against_the_others(both, three):
    """Each class has its own thresholds; probabilities are judged as a whole."""
    found = decide(both(three, {"cnn": 1.5}), three, resamples=50).decisions
    calls = found.filter(rule="Youden", metric="recall")

    assert calls["label"].to_list() == list(three.classes)
    assert found.filter(rule="probabilities")["metric"].unique().sort().to_list() == ["brier", "ece", "log_loss"]


def test_a_promise_that_test_shows_broken_is_said(both, two):
    """Valid is easy and test is not: the sensitivity of 0.95 is not kept, and the row says so."""
    easy, hard = both(two, {"cnn": 5.0}), both(two, {"cnn": 0.0})
    frame = pl.concat([easy.filter(role="valid"), hard.filter(role="test")])
    row = rule(decide(frame, two, resamples=200).decisions, "sensitivity at least 0.95", "recall")

    assert row["high"] < 0.95
    assert "short of the 0.95" in row["note"]


def test_predictive_values_follow_bayes_at_the_declared_prevalence(both, two):
    """In one fold, PPV and NPV at 2 % are those of the sensitivity and specificity in the same table."""
    found = decide(both(two, {"cnn": 1.5}, n_folds=1), two, Aims(prevalence=0.02, miss_costs=(20,)), resamples=50)
    frame = found.decisions
    for name in ("Youden", "a miss costs 20 false alarms"):
        sensitivity, specificity = (rule(frame, name, metric)["estimate"] for metric in ("recall", "specificity"))
        ppv = sensitivity * 0.02 / (sensitivity * 0.02 + (1 - specificity) * 0.98)
        npv = specificity * 0.98 / (specificity * 0.98 + (1 - sensitivity) * 0.02)
        assert rule(frame, name, "precision_at_prevalence")["estimate"] == pytest.approx(ppv)
        assert rule(frame, name, "npv_at_prevalence")["estimate"] == pytest.approx(npv)
        right = 0.02 * sensitivity + 0.98 * specificity
        assert rule(frame, name, "accuracy_at_prevalence")["estimate"] == pytest.approx(right)


def test_a_finding_that_was_never_missed_leaves_the_negative_predictive_value_open(both, two):
    """Sensitivity of so few patients may be lower, and what follows from it at a prevalence with it."""
    frame = both(two, {"cnn": 1.5}, n_folds=1)
    found = pl.when(pl.col("label") == "malignant").then(0.9).otherwise(pl.col("prob_malignant"))
    frame = frame.with_columns(prob_malignant=found).with_columns(prob_benign=1 - pl.col("prob_malignant"))
    n = frame.filter(role="test", label="malignant")["patient"].n_unique()
    least, _ = proportion_confint(n, n, method="beta")
    rows = decide(frame, two, Aims(prevalence=0.2), resamples=300).decisions
    row = {name: rule(rows, "most probable", name) for name in ("specificity", *AT_PREVALENCE)}
    surely = row["specificity"]["estimate"]

    npv, accuracy, ppv = (row[name] for name in AT_PREVALENCE)
    assert npv["estimate"] == npv["high"] == 1.0
    assert npv_at(least, row["specificity"]["low"], 0.2) < npv["low"] <= npv_at(least, surely, 0.2)
    assert accuracy["low"] <= 0.2 * least + 0.8 * surely < accuracy["estimate"] < accuracy["high"] < 1
    assert ppv["low"] <= ppv_at(least, surely, 0.2) < ppv["estimate"] < ppv["high"]


def test_with_many_patients_what_follows_at_a_prevalence_is_what_resamples_say(both, two):
    """The intervals that follow from others agree with percentiles of patients drawn here, where those are good."""
    frame = both(two, {"cnn": 1.5}, n_test=900, n_each=1, n_folds=1)
    rows = decide(frame, two, Aims(prevalence=0.3), resamples=1000).decisions
    test = frame.filter(role="test")
    ill, called = (test["label"] == "malignant").to_numpy(), (test["prob_malignant"] > 0.5).to_numpy()
    rng, drawn = np.random.default_rng(5), []
    for _ in range(2000):
        at = rng.integers(len(ill), size=len(ill))
        rates = called[at][ill[at]].mean(), 1 - called[at][~ill[at]].mean()
        drawn.append((npv_at(*rates, 0.3), 0.3 * rates[0] + 0.7 * rates[1], ppv_at(*rates, 0.3)))

    for name, values in zip(AT_PREVALENCE, np.transpose(drawn), strict=True):
        row = rule(rows, "most probable", name)
        assert (row["low"], row["high"]) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.006)


def test_the_most_accurate_threshold_says_at_which_prevalence(both, two):
    """Where one is declared it is another threshold, and its name is no promise for the test role as it is mixed."""
    frame = both(two, {"cnn": 1.5}, n_folds=1)
    rules = set(decide(frame, two, Aims(prevalence=0.02), resamples=50).decisions["rule"])

    assert "greatest accuracy at the declared prevalence" in rules
    assert "greatest accuracy" not in rules
    assert "greatest accuracy" in set(decide(frame, two, resamples=50).decisions["rule"])


def test_probabilities_at_a_prevalence_are_those_of_a_set_that_has_it(both, two):
    """Weighing the classes equals repeating the rows of one of them until the shares are right."""
    frame = both(two, {"cnn": 1.5}, n_folds=1)
    found = decide(frame, two, Aims(prevalence=0.1), resamples=50).decisions
    test, valid = (frame.filter(role=role) for role in ("test", "valid"))
    there = (valid["label"] == "malignant").mean()
    n_malignant, n_benign = ((test["label"] == name).sum() for name in ("malignant", "benign"))
    assert n_malignant == n_benign  # so nine of every benign row make a prevalence of 0.1
    truth = np.repeat((test["label"] == "malignant").to_numpy(), np.where(test["label"] == "malignant", 1, 9))
    stated = np.repeat(test["prob_malignant"].to_numpy(), np.where(test["label"] == "malignant", 1, 9))
    shifted = moved(stated, float(there), 0.1)

    assert rule(found, "probabilities at a", "log_loss")["estimate"] == pytest.approx(log_loss(truth, stated))
    assert rule(found, "probabilities moved", "log_loss")["estimate"] == pytest.approx(log_loss(truth, shifted))
    assert log_loss(truth, shifted) < log_loss(truth, stated)


@pytest.mark.parametrize("roles", [["test"], ["train", "test"]])
def test_without_a_role_to_set_rules_on_there_are_none(both, two, roles):
    """The table is empty and the note says why; nothing is set on test."""
    frame = both(two, {"cnn": 1.0}).filter(role="test")
    found = decide(pl.concat([frame.with_columns(role=pl.lit(role)) for role in roles]), two)

    assert found.decisions.is_empty()
    assert "no row of valid or calib" in found.notes[0]


def test_a_valid_role_of_one_class_sets_no_threshold(both, two):
    """The rules are undefined, with the reason; the most probable class needs no setting."""
    frame = both(two, {"cnn": 1.0}).filter((pl.col("role") == "test") | (pl.col("label") == "benign"))
    found = decide(frame, two, resamples=20).decisions
    row = rule(found, "Youden", "recall")

    assert (row["estimate"], row["threshold"]) == (None, None)
    assert "not set in 3 of 3 trials" in row["note"]
    assert rule(found, "most probable class", "recall")["estimate"] is not None


def test_three_patients_are_enough_to_say_that_they_are_not(both, two):
    """Nothing is recalibrated on three patients; thresholds stand with the intervals that they deserve."""
    found = decide(both(two, {"cnn": 1.0}, n_valid=3, n_test=3, n_folds=1), two, resamples=50).decisions

    assert found["calibration"].unique().to_list() == ["none"]
    assert found.filter(rule="probabilities", metric="brier")["estimate"][0] is not None


def test_a_trial_without_setting_rows_is_left_out_and_said(both, two):
    """A family that predicted valid in two of three folds is judged on these."""
    frame = both(two, {"cnn": 1.0}).filter((pl.col("role") == "test") | (pl.col("fold") < 2))
    found = decide(frame, two, resamples=20)

    assert any("no row of valid in 1 of its trials" in note for note in found.notes)
    assert found.decisions["n_patients"].unique().to_list() == [40]


@pytest.mark.parametrize("wrong", [{"prevalence": 1.5}, {"sensitivity": [95]}, {"miss_costs": [0]}, {"coverag": 0.9}])
def test_aims_that_cannot_be_are_refused(wrong):
    """A share above 1, a price of nothing and a misspelt key are named."""
    with pytest.raises(BadSpec):
        parse(Aims, wrong)
