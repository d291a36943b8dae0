"""The audits of splits, comparisons and budgets on small tables: where a finding ends and a tip begins."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import audits, tables
from grandrounds.audits import AuditTables
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("x", "y"), positive="y")


def answer(code, **given):
    """The row of one audit."""
    return audits.run(AuditTables(**given)).filter(audit=code).row(0, named=True)


def cohort(roles, labels, patients=None):
    """Splits, labels and samples of one fold, one case a row."""
    cases = [f"c{k}" for k in range(len(roles))]
    frame = pl.DataFrame({"case": cases, "role": roles, "label": labels, "patient": patients or cases})
    frame = frame.with_columns(sample="case", task=pl.lit("label"), repeat=0, fold=0)
    return {
        "samples": tables.check(frame.select("sample", "case", "patient"), tables.SAMPLES),
        "labels": tables.check(frame.select("case", "task", "label"), tables.LABELS),
        "splits": tables.check(frame.select("case", "repeat", "fold", "role"), tables.SPLITS),
        "task": TASK,
        "patient_known": patients is not None,
    }


def judged(estimates, verdicts=(), half=0.01, n_patients=100):
    """Scores and comparisons; a pair without a verdict of its own is decided by its estimates."""
    given = dict(verdicts)
    rows = []
    names = list(estimates)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            difference = estimates[a] - estimates[b]
            verdict = given.get((a, b), "better" if difference > 0 else "worse")
            rows.append((a, b, "auc", difference, difference - half, difference + half, verdict))
    columns = ["family_a", "family_b", "metric", "difference", "low", "high", "verdict"]
    scores = [
        {"family": one, "metric": "auc", "estimate": value, "n_patients": n_patients, "n_samples": 500}
        for one, value in estimates.items()
    ]
    return {
        "comparisons": tables.check(pl.DataFrame(rows, schema=columns, orient="row"), tables.COMPARISONS),
        "scores": tables.check(pl.DataFrame(scores), tables.SCORES),
        "margin": 0.02,
    }


def trials(**families):
    """A trials table of one list of (status, seconds) a family."""
    rows = [
        {"trial": f"{family}-{k}", "family": family, "status": status, "fit_s": seconds}
        for family, ones in families.items()
        for k, (status, seconds) in enumerate(ones)
    ]
    return tables.check(pl.DataFrame(rows), tables.TRIALS)


def test_a_class_that_only_valid_lacks_is_a_tip():
    """Train and test can still be judged."""
    row = answer("A003", **cohort(["train", "train", "valid", "test", "test"], ["x", "y", "x", "x", "y"]))

    assert row["outcome"] == "tip"
    assert row["rows"] == ["repeat 0, fold 0: valid has no y"]


def test_a_class_that_predictions_lack_is_found_without_a_split():
    """Somebody else's CSV with roles is enough."""
    predictions = pl.DataFrame({"sample": ["a", "b"], "patient": ["p", "q"], "role": "test", "label": ["x", "x"]})
    predictions = tables.check(predictions.with_columns(family=pl.lit("f")), tables.PREDICTIONS)

    assert answer("A003", predictions=predictions, task=TASK)["outcome"] == "finding"


def test_patients_are_dealt_whole_when_chance_is_asked():
    """Forty cases of four patients look uneven by case, but four patients can always fall so."""
    roles, labels = ["train"] * 20 + ["test"] * 20, ["x"] * 20 + ["y"] * 20
    by_case = answer("A004", **cohort(roles, labels))
    by_patient = answer("A004", **cohort(roles, labels, [f"p{k // 10}" for k in range(40)]))

    assert by_case["outcome"] == "finding"
    assert "x makes up 100.0 % of train and 0.0 % of test" in by_case["sentence"]
    assert by_patient["outcome"] == "passed"


def test_a_small_but_certain_difference_is_a_tip():
    """With many images chance allows little; two points of prevalence still do no harm."""
    roles = ["train"] * 20_000 + ["test"] * 20_000
    labels = ["y" if k % 100 < (50 if k < 20_000 else 53) else "x" for k in range(40_000)]

    assert answer("A004", **cohort(roles, labels))["outcome"] == "tip"


def test_even_dealing_is_rarely_called_uneven():
    """Under the null hypothesis about one split in a hundred is."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        labels = rng.permutation(["x"] * 20 + ["y"] * 20).tolist()
        found += answer("A004", **cohort(["train"] * 28 + ["test"] * 12, labels))["outcome"] != "passed"

    assert found <= 3


def test_floors_that_only_a_weak_family_does_not_beat_are_a_tip():
    """The best does; that is what counts."""
    row = answer("A005", **judged({"prior": 0.5, "weak": 0.51, "best": 0.9}, {("prior", "weak"): "undecided"}))

    assert row["outcome"] == "tip"
    assert row["rows"] == ["weak: not shown to be better than prior"]


@pytest.mark.parametrize(("code", "why"), [("A005", "no floor"), ("A010", "`metadata` and `prior`")])
def test_without_floors_nothing_is_said_of_them(code, why):
    """A CSV of two models has no floors."""
    row = answer(code, **judged({"ours": 0.8, "theirs": 0.7}))

    assert row["outcome"] == "not applicable"
    assert why in row["sentence"]


def runs(**by_family):
    """Predictions of test: for each family and fold whether it ranks all rightly, or all wrongly."""
    rows = []
    for family, folds in by_family.items():
        for fold, right in enumerate(folds):
            for k, label in enumerate("xxyy"):
                y = 0.9 if (label == "y") == right else 0.1
                rows.append((f"s{fold}{k}", f"p{fold}{k}", family, fold, label, 1 - y, y))
    columns = ["sample", "patient", "family", "fold", "label", "prob_x", "prob_y"]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        role=pl.lit("test"), trial=pl.lit("t-") + pl.col("family") + pl.col("fold").cast(pl.String), repeat=0, seed=0
    )
    return tables.check(frame, tables.PREDICTIONS)


def test_spread_is_that_of_the_paired_difference():
    """Folds that are hard for both families do not count against the difference."""
    hard = [True, True, True, False]
    paired = judged({"a": 0.75, "b": 0.25})
    steady = answer("A006", predictions=runs(a=[True] * 4, b=[False] * 4), task=TASK, **paired)
    shaky = answer("A006", predictions=runs(a=hard, b=[not one for one in hard]), task=TASK, **paired)

    assert steady["sentence"] == "Each of 1 claimed difference is larger than its spread."
    assert shaky["outcome"] == "finding"
    assert shaky["rows"] == ["a minus b: +0.500 on average of 4 runs, standard deviation 1.000"]


def test_one_run_has_no_spread():
    """One fold and one seed say nothing of what another would do."""
    row = answer("A006", predictions=runs(a=[True], b=[False]), task=TASK, **judged({"a": 1.0, "b": 0.0}))

    assert row["outcome"] == "not applicable"


def test_seconds_are_compared_with_the_declared_share():
    """One and a half times is too much; floors have no share; without a declared one nothing is compared."""
    table = trials(prior=[("done", 99.0)], quick=[("done", 1.0)], slow=[("done", 14.0), ("done", 18.0)])

    assert answer("A007", trials=table, share_s=10.0)["rows"] == [
        "slow: 16 s of training a trial, 1.6 times its share of 10 s"
    ]
    assert answer("A007", trials=table, share_s=11.0)["outcome"] == "passed"
    assert "No budget was declared" in answer("A007", trials=table)["sentence"]


def test_failures_are_counted_and_not_applicable_is_none():
    """A family that had nothing to read did not fail."""
    table = trials(a=[("failed", 1.0), ("done", 1.0)], b=[("not applicable", 0.1)], c=[("truncated", 9.0)])

    assert answer("A007", trials=table)["rows"] == ["a: 1 of 2 trials failed", "c: 1 of 1 trial stopped by the clock"]


def test_patients_needed_grow_with_the_square_of_the_width():
    """Five times as wide as the margin asks for twenty-five times as many patients."""
    undecided = judged({"a": 0.80, "b": 0.79}, {("a", "b"): "undecided"}, half=0.1, n_patients=100)
    row = answer("A008", **undecided)
    unknown = answer("A008", patient_known=False, **undecided)

    assert row["rows"] == ["a and b: ±0.100, would need about 2,500 patients to be within ±0.02"]
    assert "500 images" in unknown["sentence"]
    assert "patients" not in unknown["sentence"]


def test_a_wide_interval_that_decides_is_no_finding():
    """Where the difference was shown, there were patients enough."""
    assert answer("A008", **judged({"a": 0.9, "b": 0.5}, half=0.1))["outcome"] == "passed"


def test_valid_rows_that_are_tested_are_counted_by_trial():
    """One of two tested cases was seen by early stopping."""
    predictions = tables.check(
        pl.DataFrame({
            "sample": ["a", "a", "b", "c"], "patient": ["p", "p", "q", "r"], "family": "f", "trial": "f-0",
            "role": ["valid", "test", "test", "valid"], "label": "x", "fold": 0,
        }),
        tables.PREDICTIONS,
    )  # fmt: skip
    row = answer("A009", predictions=predictions)
    recalibrated = predictions.with_columns(role=pl.col("role").replace({"valid": "calib"}))
    assert answer("A009", predictions=recalibrated)["outcome"] == "finding"

    assert row["sentence"].startswith("In 1 trial 1 of 2 tested cases stand in valid or calib too")
    assert row["rows"] == ["f, repeat 0, fold 0, seed 0: 1 of 2 tested cases"]
    assert answer("A009", predictions=predictions.filter(role="test"))["outcome"] == "not applicable"
    another = predictions.with_columns(family=pl.lit("g"), trial=pl.lit("g-0"))
    both = answer("A009", predictions=pl.concat([predictions, another]))
    assert both["sentence"].startswith("In 2 trials 1 of 2 tested cases")  # people, not predictions


def test_columns_that_give_the_label_away_are_listed():
    """What the regression read stands with the finding."""
    given = judged({"prior": 0.5, "metadata": 0.9, "net": 0.91}, {("metadata", "net"): "undecided"})
    noted = trials(metadata=[("done", 0.1)]).with_columns(note=pl.lit("reads the columns age, ward"))
    row = answer("A010", trials=noted, **given)

    assert row["outcome"] == "finding"
    assert row["rows"] == ["reads the columns age, ward"]


@pytest.mark.parametrize(("name", "outcome"), [("breastmnist", "passed"), ("pneumoniamnist", "finding")])
def test_prevalence_of_real_archives(real_data, name, outcome):
    """BreastMNIST was stratified; PneumoniaMNIST has 26 % normal radiographs in train and 37.5 % in test."""
    roles, labels = [], []
    with np.load(real_data / name / f"{name}.npz") as content:
        for part, role in (("train", "train"), ("val", "valid"), ("test", "test")):
            truth = content[f"{part}_labels"].ravel()
            roles += [role] * len(truth)
            labels += ["y" if one else "x" for one in truth]
    row = answer("A004", **cohort(roles, labels))

    assert row["outcome"] == outcome
    assert ("37.5 % of test" in row["sentence"]) == (outcome == "finding")


@pytest.mark.parametrize(
    ("roles", "outcome"), [(["test"], "tip"), (["valid", "test"], "passed")], ids=["without valid", "with valid"]
)
def test_families_that_only_test_tells_apart_are_a_tip(roles, outcome):
    """Two contenders without a row of valid can only be picked on test; a floor is no contender."""
    rows = [
        {"sample": f"s{k}", "patient": f"p{k}", "family": family, "label": "xy"[k % 2], "role": role, "trial": family,
         "prob_x": 0.5, "prob_y": 0.5}
        for family in ("one", "two", "prior") for role in roles for k in range(4)
    ]  # fmt: skip
    found = answer("A017", predictions=tables.check(pl.DataFrame(rows), tables.PREDICTIONS))

    assert found["outcome"] == outcome
    assert outcome == "passed" or "2 families" in found["sentence"]


@pytest.mark.parametrize(("calibration", "words"), [("none", "recalibrate it before"), ("beta", "recalibrated (beta)")])
def test_poor_calibration_names_the_recalibration_that_other_patients_gave(calibration, words):
    """Where decisions read the best family recalibrated the finding points there, else it asks for it."""
    given = judged({"a": 0.9, "b": 0.8})
    slope = {"family": "a", "metric": "calibration_slope", "label": "y", "estimate": 0.3, "low": 0.2, "high": 0.4}
    rule = {"family": "a", "rule": "Youden", "metric": "recall", "calibration": calibration, "threshold": 0.4}
    scores = pl.concat([given["scores"], tables.check(pl.DataFrame([slope]), tables.SCORES)])
    decisions = tables.check(pl.DataFrame([rule]), tables.DECISIONS)
    row = answer("A014", **given | {"scores": scores}, task=TASK, decisions=decisions)

    assert row["outcome"] == "finding"
    assert words in row["sentence"]


@pytest.mark.parametrize(("year", "outcome"), [([1, 2, 1, 2, 3, 4], "finding"), ([1, 2, 2, 1, 3, 4], "not applicable")])
def test_a_column_that_says_the_label_is_found_without_any_family(year, outcome):
    """A regression that adds columns up misses years of which each is of one finding."""
    known = cohort(["train"] * 6, ["x", "y", "x", "y", "x", "y"], list("abcdef"))
    samples = known["samples"].with_columns(finding_year=pl.Series(year))
    row = answer("A010", **known | {"samples": samples})

    assert row["outcome"] == outcome
    assert ("finding_year" in str(row["rows"])) == (outcome == "finding")
