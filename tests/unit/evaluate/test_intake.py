from __future__ import annotations

import polars as pl
import pytest

from grandrounds.errors import BadData
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.intake import intake
from grandrounds.evaluate.judge import judge

GOOD = "sample,label,prob_a,prob_b\n001,a,0.9,0.1\n002,b,0.3,0.7\n003,a,0.4,0.6\n004,b,0.2,0.8\n"


@pytest.fixture
def written(tmp_path):
    """Return the function that writes a CSV."""

    def _write(text, name="theirs.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_the_least_file_is_completed(written):
    """Sample, label and probabilities are enough; names stay text, and what was filled in is said."""
    found = intake(written(GOOD))
    assert found.predictions["sample"].to_list() == ["001", "002", "003", "004"]
    assert found.predictions["family"].unique().to_list() == ["model"]
    assert found.task.classes == ("a", "b")
    assert found.task.positive == "b"
    assert not found.patient_known
    assert "patient" in found.notes[0]
    outcome = judge(found.predictions, found.task, resamples=50, patient_known=found.patient_known)
    assert outcome.scores.filter(pl.col("metric") == "auc")["estimate"][0] == 1.0


def test_their_own_columns_are_kept(written):
    """Patients, families, folds and seeds come along; every trial gets a name of its own."""
    rows = [f"s{i},{'ab'[i % 2]},0.5,0.5,p{i // 2},{family},{i % 2}" for family in ("x", "y") for i in range(8)]
    found = intake(written("sample,label,prob_a,prob_b,patient,family,fold\n" + "\n".join(rows)), positive="a")
    assert found.patient_known
    assert found.task.positive == "a"
    assert found.predictions["trial"].n_unique() == 4
    assert found.predictions["patient"].n_unique() == 4
    assert found.predictions["fold"].to_list()[:2] == [0, 1]


def test_tabs_and_parquet_are_read_too(written, tmp_path):
    """The same table as TSV or Parquet gives the same predictions."""
    plain = intake(written(GOOD)).predictions
    assert intake(written(GOOD.replace(",", "\t"), "theirs.tsv")).predictions.equals(plain)
    pl.read_csv(written(GOOD), schema_overrides={"sample": pl.String}).write_parquet(tmp_path / "theirs.parquet")
    assert intake(tmp_path / "theirs.parquet").predictions.equals(plain)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.3,0.7", "0.3,0.6", "sum to 0.9000"),
        ("0.3,0.7", "1.3,-0.3", "not between 0 and 1"),
        ("0.3,0.7", "nan,0.7", "prob_a is empty or not a number"),
        ("0.3,0.7", ",0.7", "prob_a is empty or not a number"),
        ("0.3,0.7", "inf,0.7", "not between 0 and 1"),
        ("002,b", "002,c", "the label has no probability column"),
        ("002,b", "002,", "label is empty"),
        ("002,b", "001,b", "stands here before"),
    ],
)
def test_a_bad_row_is_named(written, old, new, message):
    """The message says what is wrong and in which line."""
    with pytest.raises(BadData, match=message) as caught:
        intake(written(GOOD.replace(old, new)))
    assert "line 3" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("sample,label,prob_a,prob_b\n", "no row"),
        ("sample,prob_a,prob_b\n1,1,0\n", "label is missing"),
        ("sample,label,prob_a\n1,a,1\n", "too few"),
        ("sample,label,prob_a,prob_b\n1,a,1,0\n2,a,1,0\n", "the same label"),
        (
            "sample,label,prob_a,prob_b,patient,family\n1,a,1,0,p,x\n1,a,1,0,q,y\n2,b,1,0,p,x\n",
            "belongs to two patients",
        ),
    ],
)
def test_a_file_that_cannot_be_judged_is_refused(written, text, message):
    """Each kind of bad file gets its message."""
    with pytest.raises(BadData, match=message):
        intake(written(text))


def test_grades_are_ordered_where_the_user_says_so(written):
    """Three classes in order are judged as an ordinal task, in the order of their columns."""
    text = "sample,label,prob_mild,prob_some,prob_bad\n1,mild,0.8,0.1,0.1\n2,bad,0.1,0.2,0.7\n3,some,0.2,0.5,0.3\n"
    found = intake(written(text), Columns(ordered=True))
    assert (found.task.kind, found.task.classes) == ("ordinal", ("mild", "some", "bad"))
    scores = judge(found.predictions, found.task, resamples=20, patient_known=False).scores
    assert scores.filter(pl.col("metric") == "quadratic_kappa")["estimate"].item() == pytest.approx(1.0)
    assert intake(written(text)).task.kind == "multiclass"


def test_an_absent_file_and_a_wrong_positive_are_refused(written, tmp_path):
    """Neither ends in a traceback."""
    with pytest.raises(BadData, match="cannot read"):
        intake(tmp_path / "nowhere.csv")
    with pytest.raises(BadData, match="positive"):
        intake(written(GOOD), positive="c")
