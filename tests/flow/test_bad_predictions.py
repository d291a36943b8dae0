"""What predictions that are wrong, or too few, get: a clear message or an honest word, never a wrong number."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from grandrounds.cli import main

QUICK = ("-o", "out", "--resamples", "200")


def _rows(n_patients=12, n_each=3, families=("ours", "theirs"), n_folds=2, role="test"):
    """Return simulated predictions; names tell that nobody is meant."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(n_patients), n_each)
    truth = patient % 2
    parts = []
    for family in families:
        score = 1 / (1 + np.exp(-(2.0 * truth - 1 + rng.normal(size=len(patient)))))
        columns = {
            "sample": [f"simulated-{i:03d}" for i in range(len(patient))],
            "patient": [f"nobody-{i:02d}" for i in patient],
            "fold": patient // 2 % n_folds,
            "label": np.array(["no", "yes"])[truth],
            "prob_no": (1 - score).round(6),
            "prob_yes": score.round(6),
        }
        parts.append(pl.DataFrame(columns).with_columns(family=pl.lit(family), role=pl.lit(role)))
    return pl.concat(parts)


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    """Return the function that reports predictions and returns what was said, the scores and the comparisons."""
    monkeypatch.chdir(tmp_path)

    def _report(frame, *options):
        frame.write_csv("predictions.csv")
        end = 0
        try:
            main(["report", "predictions.csv", *QUICK, *options])
        except SystemExit as error:
            end = error.code or 0
        said = capsys.readouterr()
        if end:
            assert not (tmp_path / "out").exists()
            return said.err, None, None
        tables = (pl.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("scores", "comparisons"))
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        return page, *tables

    return _report


def _overall(scores, metric, unit="sample"):
    whole = scores.filter(pl.col("slice") == "all", pl.col("unit") == unit)
    return whole.filter(pl.col("metric") == metric, pl.col("label").is_null())


def test_probabilities_that_do_not_sum_to_1_are_refused(report):
    """The message names the line and the sum."""
    said, *_ = report(_rows().with_columns(prob_yes=pl.col("prob_yes") * 0.5))
    assert "line 2" in said
    assert "sum to" in said
    assert "what to do" in said


def test_a_label_outside_the_classes_is_refused(report):
    """The message names the line and the classes that there are."""
    frame = _rows()
    said, *_ = report(
        frame.with_columns(label=pl.when(pl.arange(pl.len()) == 4).then(pl.lit("maybe")).otherwise("label"))
    )
    assert "line 6" in said
    assert "no, yes" in said


def test_a_row_that_stands_twice_is_refused(report):
    """The same sample in the same fold of one family would count a patient double."""
    frame = _rows()
    said, *_ = report(pl.concat([frame, frame.head(1)]))
    assert f"line {frame.height + 2}" in said
    assert "stands here before" in said


def test_a_family_without_some_folds_is_compared_on_the_others_and_does_not_lead(report):
    """The better one finished one fold of two: that is said, and no lead and no difference rests on the other fold."""
    frame = _rows(n_patients=24)
    sure = pl.when(pl.col("label") == "yes").then(pl.lit(0.99)).otherwise(pl.lit(0.01))
    frame = frame.with_columns(prob_yes=pl.when(pl.col("family") == "ours").then(sure).otherwise("prob_yes"))
    frame = frame.with_columns(prob_no=1 - pl.col("prob_yes"))
    page, scores, comparisons = report(frame.filter((pl.col("family") == "theirs") | (pl.col("fold") == 0)))
    assert "ours finished 1 of 2 folds" in page
    assert "did not finish every trial, so it neither leads nor ships" in page
    assert _overall(scores, "auc").filter(family="ours")["n_samples"].item() == 36
    theirs = frame.filter((pl.col("family") == "theirs") & (pl.col("fold") == 0))
    truth, score = (theirs["label"] == "yes").to_numpy(), theirs["prob_yes"].to_numpy()
    auc = (score[truth][:, None] > score[~truth]).mean()
    whole = comparisons.filter(pl.col("method") == "paired clustered bootstrap")
    assert whole["difference"][0] == pytest.approx(1 - auc, abs=1e-5)


def test_unknown_patients_are_said_on_the_page(report):
    """Without a column of patients nothing claims to count them."""
    page, scores, _ = report(_rows(n_each=1).drop("patient"))
    assert "assumes independent images" in page
    assert scores["n_patients"].null_count() == scores.height


def test_patients_missing_in_some_rows_are_refused(report):
    """Nobody guesses whose image it is: the message names the line."""
    frame = _rows()
    said, *_ = report(frame.with_columns(patient=pl.when(pl.col("sample") != "simulated-004").then("patient")))
    assert "patient is empty" in said
    assert "line 6" in said


def test_a_prevalence_of_three_classes_is_refused(report):
    """It is of the positive class, of which there is none."""
    frame = _rows().with_columns(
        label=pl.when(pl.col("patient") < "nobody-04").then(pl.lit("perhaps")).otherwise("label")
    )
    said, *_ = report(frame.with_columns(prob_perhaps=pl.lit(0.0)), "--prevalence", "0.02")
    assert "a prevalence of 0.02 is of the positive class" in said
    assert "leave out --prevalence" in said


def test_one_class_on_test_leaves_what_needs_two_undefined(report):
    """Valid has both classes, test has one: no AUC, no lead, and the accuracy stands."""
    frame = pl.concat([_rows(role="valid"), _rows(n_patients=24).filter(pl.col("label") == "no")])
    page, scores, comparisons = report(frame)
    auc = _overall(scores, "auc")
    assert auc["estimate"].null_count() == auc.height == 2
    assert auc["low"].null_count() == 2
    assert "No family has a defined AUC" in page
    assert set(comparisons.filter(pl.col("metric") == "auc")["verdict"]) == {"undecided"}
    assert _overall(scores, "accuracy")["estimate"].null_count() == 0


def test_predictions_without_a_row_of_test_are_refused(report):
    """The message says which roles there are and what to do."""
    said, *_ = report(pl.concat([_rows(role="valid"), _rows(role="train")]))
    assert "no row of the task 'label' has the role test" in said
    assert "there are: train, valid" in said
    assert "what to do: name the role test" in said


@pytest.mark.parametrize(
    ("option", "value", "takes"),
    [
        ("--margin", "-1", "margin: input should be greater than or equal to 0"),
        ("--margin", "nan", "margin: input should be a finite number"),
        ("--coverage", "0", "coverage: 0 is no share between 0 and 1, such as 0.9"),
        ("--sensitivity", "2", "sensitivity: 2 is no share between 0 and 1, such as 0.9"),
    ],
)
def test_an_option_that_cannot_be_is_refused(report, option, value, takes):
    """No traceback: the message names the option, what it takes and where to read on."""
    said, *_ = report(_rows(), option, value)
    assert f"grandrounds: {takes}" in said
    assert "where:      the options" in said
    assert "what to do: `--help`" in said


def test_too_few_resamples_are_refused(tmp_path, capsys):
    """A bootstrap of none is no bootstrap."""
    _rows().write_csv(tmp_path / "predictions.csv")
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "predictions.csv"), "--resamples", "0"])
    assert end.value.code == 1
    assert "resamples: input should be greater than or equal to 100" in capsys.readouterr().err


def test_words_of_a_scale_are_named_one_by_one(report):
    """Each `--levels` is a word, from least to most suspicious."""
    said = pl.when(pl.col("prob_yes") > 0.6).then(pl.lit("surely")).otherwise(pl.lit("never"))
    frame = _rows().select("sample", "patient", "fold", "label", said.alias("rating"), reader="family")
    page, scores, _ = report(frame, "--levels", "never", "--levels", "surely", "--cutoff", "surely")
    assert "ours" in page
    assert _overall(scores, "balanced_accuracy")["estimate"].min() > 0.5


def test_one_class_in_all_is_refused(report):
    """Nothing can be judged on one class alone."""
    said, *_ = report(_rows().filter(pl.col("label") == "no"))
    assert "every sample has the same label" in said


def test_one_patient_is_spoken_of_as_one(report):
    """The sentence counts one patient, and the refusal one case."""
    frame = _rows(n_patients=2, n_folds=1)
    said, *_ = report(frame.with_columns(case=pl.lit("one")), "--by", "case")
    assert "a case belongs to several patients" in said
    page, *_ = report(frame.with_columns(patient=pl.lit("nobody")))
    assert "on 6 test samples of 1 patient." in page


def test_three_patients_get_no_interval(report):
    """The values stand, and no bound, p or verdict that three patients cannot carry."""
    page, scores, comparisons = report(_rows(n_patients=3, n_folds=1))
    assert "No interval can be estimated from 3 patients" in page
    assert _overall(scores, "auc")["estimate"].null_count() == 0
    assert scores["low"].null_count() == scores["high"].null_count() == scores.height
    assert comparisons["p_adjusted"].null_count() == comparisons.height
    assert set(comparisons["verdict"]) == {"undecided"}


def _findings(**options):
    """Return the same for two findings on the same images."""
    return pl.concat(_rows(**options).with_columns(task=pl.lit(name)) for name in ("acl", "cyst"))


@pytest.mark.parametrize(
    ("column", "wrong", "message"),
    [
        ("label", "maybe", "the label has no probability column"),
        ("label", "", "leave out rows whose label nobody knows"),
        ("sample", "simulated-003", "stands here before"),
        ("patient", "nobody-99", "a sample belongs to two patients"),
        ("task", "", "task is empty"),
    ],
)
def test_a_wrong_row_of_one_task_stops_the_report_on_all(report, column, wrong, message):
    """The message names the line of the file and the task; nothing is written."""
    frame = _findings()
    at = frame.height // 2 + 4  # the fifth row of the second task
    new = pl.when(pl.arange(pl.len()) == at).then(pl.lit(wrong)).otherwise(column)
    said, *_ = report(frame.with_columns(new.alias(column)))
    assert message in said
    if column in ("label", "sample"):
        assert f"line {at + 2}, task cyst" in said


def test_tasks_that_say_too_little_leave_the_others_as_they_are(report):
    """One class in a task, a patient in one task alone, a family without a task: no mean is made up."""
    frame = _findings(n_patients=24, families=("ours", "theirs", "third"), n_folds=1)
    frame = frame.filter((pl.col("patient") != "nobody-00") | (pl.col("task") == "acl"))
    frame = frame.filter((pl.col("family") != "third") | (pl.col("task") == "acl"))
    page, scores, comparisons = report(frame)
    auc = _overall(scores, "auc")
    assert auc.filter(task="all tasks").drop_nulls("estimate")["family"].to_list() == ["ours", "theirs"]
    assert auc.filter(task="acl")["n_patients"].to_list() == [24] * 3
    assert auc.filter(task="cyst")["n_patients"].to_list() == [23] * 2
    assert "acl 24, cyst 23 of 24 in all" in page
    assert comparisons.filter(task="all tasks").select("family_a", "family_b").rows() == [("ours", "theirs")]

    label = pl.when(pl.col("task") == "cyst").then(pl.lit("no")).otherwise("label")
    page, scores, _ = report(frame.with_columns(label=label))
    auc = _overall(scores, "auc")
    assert auc.filter(pl.col("task") != "acl")["estimate"].null_count() == 5
    assert auc.filter(task="acl")["estimate"].null_count() == 0
    assert "undefined for cyst" in page


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_rows_are_judged_in_two_gibibytes(tmp_path):
    """A million rows of as many patients: the AUC is scikit-learn's, the interval is there, memory stays bounded."""
    code = """
import json, resource
import numpy as np, polars as pl
from sklearn.metrics import roc_auc_score
from grandrounds.evaluate.judge import judge
from grandrounds.tables import Task
n, rng = 1_000_000, np.random.default_rng(0)
truth = rng.integers(2, size=n)
score = 1 / (1 + np.exp(-(truth - 0.5 + rng.normal(size=n))))
name = pl.Series(np.arange(n)).cast(pl.String)
frame = pl.DataFrame({"sample": name, "patient": name, "family": pl.repeat("ours", n, eager=True),
    "label": np.array(["no", "yes"])[truth], "prob_no": 1 - score, "prob_yes": score})
found = judge(frame, Task(kind="binary", classes=("no", "yes")), resamples=256)
row = found.scores.filter(pl.col("metric") == "auc", pl.col("label").is_null()).row(0, named=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([row["estimate"], roc_auc_score(truth, score), row["low"], row["high"], peak]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    ours, theirs, low, high, peak_gib = json.loads(done.stdout)
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert low < ours < high
    assert high - low < 0.005
    assert peak_gib < 2


@pytest.mark.parametrize("command", ["report", "audit"])
@pytest.mark.parametrize(
    ("given", "what", "remedy"),
    [
        (["nosuch.csv"], "there is no such file or folder", "predictions, or a run folder"),
        (["tables"], "no run folder", "grandrounds COMMAND tables/*.csv"),
        (["runs"], "no run folder", "grandrounds COMMAND runs/breast"),
        (["nothing"], "no run folder", "or a CSV of predictions"),
        (["tables/ours.csv", "nothing"], "this is a folder", "name the files"),
    ],
)
def test_what_holds_no_predictions_is_told_from_what_does(tmp_path, monkeypatch, capsys, command, given, what, remedy):
    """Whoever names a folder of tables, a folder of runs or nothing at all reads what to name instead."""
    monkeypatch.chdir(tmp_path)
    for folder in ("tables", "runs/breast", "nothing"):
        (tmp_path / folder).mkdir(parents=True)
    _rows().write_csv("tables/ours.csv")
    (tmp_path / "runs/breast/study.toml").touch()

    with pytest.raises(SystemExit) as end:
        main([command, *given])

    said = capsys.readouterr().err
    assert end.value.code == 1
    assert what in said
    assert remedy.replace("COMMAND", command) in said
    assert given[-1] in said
    assert "Error" not in said
