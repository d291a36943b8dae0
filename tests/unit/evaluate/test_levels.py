from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.errors import BadData
from grandrounds.evaluate import METRICS, levels
from grandrounds.evaluate.aggregation import RULES, Rule, chosen, combined
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.judge import judge
from grandrounds.tables import TRIALS, Task, empty

ROLES = ("valid", "test")
AUC = METRICS.get("auc")


def _exams(task, n_cases=36, n_slices=5, *, shown=5, seed=0, noise=1.0, families=("cnn",)):
    """Return predictions of slices: of a positive exam `shown` slices look positive, in valid and in test alike."""
    rng = np.random.default_rng(seed)
    frames = []
    for family in families:
        for role in ROLES:
            case = np.repeat(np.arange(n_cases), n_slices)
            truth = case % 2
            looks = truth * (np.tile(np.arange(n_slices), n_cases) < shown)
            positive = 1 / (1 + np.exp(-(5.0 * looks - 2.5 + noise * rng.normal(size=len(case)))))
            columns = {
                "sample": [f"{role}-{i:04d}" for i in range(len(case))],
                "case": [f"{role}-{i:03d}" for i in case],
                "patient": [f"{role}-{i // 2:03d}" for i in case],
                "label": np.array(task.classes)[truth],
                f"prob_{task.classes[0]}": 1 - positive,
                f"prob_{task.classes[1]}": positive,
            }
            frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(family), role=pl.lit(role)))
    return pl.concat(frames)


def _lifted(frame, task, unit, choice="valid"):
    rows = checked(frame, task, ROLES)
    by = levels.rules(rows, task, unit, AUC, choice)
    return levels.lift(rows, task, unit, by), by


def test_each_rule_is_what_its_name_says(two):
    """Known answers for one case of three slices, and each row sums to 1."""
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    wanted = {"mean": 1.3 / 3, "max": 0.8, "noisy-or": 1 - 0.9 * 0.2 * 0.6, "fraction": 1 / 3}
    for name, value in wanted.items():
        found = combined(probs, np.zeros(3, np.int64), Rule(name=name), two)
        assert found[0, 1] == pytest.approx(value)
        assert found.sum() == pytest.approx(1)


def test_a_share_that_was_declared_is_the_rule_of_every_trial(two):
    """Valid has no say in it, and may be absent."""
    rows = _exams(two, n_slices=4, shown=1, noise=0.1, families=("cnn", "svm"))
    lifted, by = _lifted(rows, two, "case", 0.25)
    positive = lifted[f"prob_{two.classes[1]}"] > 0.5
    without = levels.rules(checked(rows.filter(role="test"), two, ROLES), two, "case", AUC, 0.25)

    assert {str(rule) for rule in (*by.values(), *without.values())} == {"fraction from 25 %"}
    assert positive.to_list() == (lifted["label"] == two.classes[1]).to_list()


@pytest.mark.parametrize("choice", ["valid", "noisy-or"])
def test_samples_of_one_mind_are_one_opinion(two, choice):
    """Where a family gives each sample of a case the same probabilities, the case has them, whatever was declared."""
    rows = _exams(two, n_slices=3).filter(~pl.col("sample").str.ends_with("7"))  # some cases lack a slice
    alike = rows.with_columns(pl.col("^prob_.*$").first().over("family", "role", "case"))
    lifted, _ = _lifted(alike, two, "case", choice)
    both = lifted.join(alike.unique(["role", "case"]), on=["role", "case"])

    assert np.allclose(both[f"prob_{two.classes[1]}"], both[f"prob_{two.classes[1]}_right"])


def test_a_quarter_of_positive_slices_makes_a_case_positive(two):
    """COVID-ViT's rule: with a share of 25 % exactly one slice of four is enough, none of four is not, order stays."""
    slices = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1])
    probs, case = np.stack([1 - slices, slices], axis=1), np.repeat(np.arange(3), 4)
    found = combined(probs, case, Rule(name="fraction", share=0.25), two)[:, 1]
    assert (found > 0.5).tolist() == [True, False, True]
    assert found[1] < found[0] < found[2]


def test_several_classes_are_combined_class_by_class(three):
    """The vote of three slices, and the means of their probabilities."""
    probs = np.array([[0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.2, 0.7, 0.1]])
    one = np.zeros(3, np.int64)
    assert combined(probs, one, Rule(name="fraction"), three)[0] == pytest.approx([1 / 3, 2 / 3, 0])
    assert combined(probs, one, Rule(name="max"), three)[0] == pytest.approx(np.array([0.5, 0.7, 0.2]) / 1.4)
    for name in RULES:
        assert combined(probs, one, Rule(name=name), three).sum() == pytest.approx(1)


@pytest.mark.parametrize("name", RULES)
def test_one_sample_a_case_stays_as_it_is_called(two, name):
    """A rule that has nothing to combine calls what the sample is called."""
    positive = np.array([0.1, 0.6, 0.95])
    found = combined(np.stack([1 - positive, positive], axis=1), np.arange(3), Rule(name=name), two)
    assert (found[:, 1] > 0.5).tolist() == [False, True, True]


def test_valid_chooses_the_rule_and_test_never_does(two):
    """One suspicious slice in twenty: the mean is beaten on valid. Other labels on test change no rule."""
    frame = _exams(two, n_slices=20, shown=1, noise=1.5, families=("cnn", "vit"))
    _, by = _lifted(frame, two, "case")
    assert all(rule.name != "mean" for rule in by.values())
    swapped = pl.when(pl.col("role") == "test").then(pl.lit(two.classes[0])).otherwise(pl.col("label"))
    assert _lifted(frame.with_columns(label=swapped), two, "case")[1] == by


def test_of_equally_good_rules_the_mean_is_taken(two):
    """Where every rule separates the cases the simplest stands, and without valid rows too."""
    assert set(_lifted(_exams(two), two, "case")[1].values()) == {Rule()}
    assert set(_lifted(_exams(two, shown=1).filter(role="test"), two, "case")[1].values()) == {Rule()}


def test_the_share_is_set_on_valid(two):
    """With two positive slices of ten the share lies where the balanced accuracy is best."""
    frame = _exams(two, n_slices=10, shown=2)
    _, by = _lifted(frame, two, "case", "fraction")
    (rule,) = by.values()
    assert rule.share == pytest.approx(0.2, abs=0.11)
    label = np.array([0, 1, 0, 1])
    one_class = chosen(label * 0, np.tile([0.4, 0.6], (4, 1)), np.arange(4), two, AUC)
    assert one_class == Rule()


def test_lifted_rows_stand_for_cases_and_patients(two):
    """One row a case with its label and its patient; a patient is positive where one of his or her cases is."""
    frame = _exams(two)
    by_case, _ = _lifted(frame, two, "case")
    by_patient, _ = _lifted(frame, two, "patient")
    assert by_case.filter(role="test").height == 36
    assert by_case["unit"].unique().to_list() == ["case"]
    assert by_case["sample"].equals(by_case["case"], check_names=False)
    assert by_patient.filter(role="test").height == 18
    assert by_patient["label"].unique().to_list() == ["malignant"]  # each patient has a case of either kind


def test_the_order_of_the_rows_does_not_matter(two):
    """Shuffled predictions give the same cases."""
    frame = _exams(two, shown=2)
    other = frame.sample(fraction=1.0, shuffle=True, seed=3)
    assert _lifted(frame, two, "case")[0].equals(_lifted(other, two, "case")[0])


def test_scores_stand_at_every_level_and_the_verdict_at_the_declared_one(two):
    """Samples, cases and patients have their scores; comparisons are by case unless something else is asked for."""
    frame = _exams(two, shown=2, families=("cnn", "vit"))
    half = pl.col("sample").str.tail(1).cast(pl.Int64) % 2
    frame = frame.with_columns(patient="case", case=pl.format("{}-{}", "case", half))
    found, decision = answer(
        frame, two, empty(TRIALS), (), primary="auc", margin=0.02, resamples=99, rope=False, unit="auto",
        aggregation="valid",
    )  # fmt: skip
    n = dict(found.scores.select("unit", "n_samples").unique().iter_rows())
    assert set(n) == {"sample", "case", "patient"}
    assert n["sample"] > n["case"] > n["patient"] == 36
    assert found.scores["unit"][0] == found.unit == decision.unit == "case"
    assert found.comparisons["unit"].unique().to_list() == ["case"]
    assert f"on {n['case']} test cases of 36 patients" in decision.sentences[0]
    assert {one.family for one in decision.combined} == {"cnn", "vit"}
    assert any(
        note.startswith("The samples of a case become one answer by a rule that each trial") for note in found.notes
    )
    assert judge(frame, two, resamples=99, unit="patient").comparisons["unit"].unique().to_list() == ["patient"]
    assert judge(frame, two, resamples=99, unit="sample").rules == {}


def test_a_level_that_changes_nothing_is_the_one_below(two):
    """Where every case is one image, cases are called samples."""
    frame = _exams(two).with_columns(case="sample")
    assert judge(frame, two, resamples=20, unit="case").unit == "sample"


def test_classes_without_an_order_cannot_meet_in_one_case(three):
    """Slices of several classes within a case: judged by slice, and by case only where the classes are ordered."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), size=60)
    columns = {
        "sample": [f"s{i}" for i in range(60)], "case": [f"c{i // 4}" for i in range(60)],
        "patient": [f"p{i // 8}" for i in range(60)], "label": [three.classes[i % 3] for i in range(60)],
        "family": ["cnn"] * 60, **{f"prob_{name}": probs[:, at] for at, name in enumerate(three.classes)},
    }  # fmt: skip
    frame = pl.DataFrame(columns)
    assert judge(frame, three, resamples=20).unit == "sample"
    with pytest.raises(BadData, match="several classes"):
        judge(frame, three, resamples=20, unit="case")
    ordered = three.replaced(kind="ordinal")
    worst = levels.lift(checked(frame, ordered, ROLES), ordered, "case", {})
    assert worst["label"].unique().to_list() == ["fibrosis"]
    assert judge(frame, ordered, resamples=20, unit="case").unit == "case"


def test_a_case_of_two_patients_is_refused(two):
    """Two exams of one name would be taken for one."""
    frame = _exams(two).with_columns(case=pl.lit("scan"))
    with pytest.raises(BadData, match="a case belongs to several patients"):
        judge(frame, two, resamples=20, unit="case")


def test_families_that_read_cases_meet_families_that_read_samples(two):
    """Rows of cases stand beside rows of samples; both are compared by case."""
    frame = _exams(two, shown=2)
    whole = _lifted(_exams(two, shown=4, seed=1), two, "case")[0].with_columns(family=pl.lit("volume"))
    found = judge(pl.concat([frame, whole.select(frame.columns)], how="diagonal").with_columns(
        unit=pl.when(pl.col("family") == "volume").then(pl.lit("case")).otherwise(pl.lit("sample"))
    ), two, resamples=50)  # fmt: skip
    assert found.unit == "case"
    assert set(found.scores["family"]) == {"cnn", "volume"}
    assert "sample" not in found.scores["unit"].to_list()


def test_the_task_decides_which_class_a_patient_has():
    """The positive class is the named one, wherever it stands in the order."""
    task = Task(kind="binary", classes=("malignant", "benign"), positive="malignant")
    frame = _exams(task)
    assert _lifted(frame, task, "patient")[0]["label"].unique().to_list() == ["malignant"]
