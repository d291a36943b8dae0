from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate.columns import Columns
from grandrounds.evaluate.intake import intake, intakes
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


@pytest.mark.parametrize("given", ["benign", "malignant"])
def test_the_class_whose_probability_alone_is_given_is_positive(written, given):
    """A score for one class says which class was to be found, however the column is called."""
    text = "sample,label,score\n1,benign,0.2\n2,malignant,0.9\n"
    for found in (
        intake(written(text), Columns(prob=(f"{given}=score",))),
        intake(written(text.replace("score", f"prob_{given}"))),
        intake(written(text.replace("score", f"prob_{given}").replace(",malignant", ", malignant"))),
    ):
        assert found.task.positive == given
        assert found.predictions[f"prob_{given}"].to_list() == [0.2, 0.9]
        assert f"The positive class is {given}." in found.notes


@pytest.mark.parametrize("column", ["prob", "probability", "score", "prob_1"])
@pytest.mark.parametrize(("no", "yes"), [("0", "1"), ("False", "True"), ("negative", "positive")])
def test_one_column_of_probabilities_is_of_the_class_that_says_yes(written, column, no, yes):
    """The most common table there is: labels that say no or yes, and one probability; how it was read is said."""
    column = column.replace("_1", f"_{yes}")
    rows = [f"{i},{no if i % 2 else yes},{0.1 + 0.2 * i:.1f}" for i in range(4)]

    found = intake(written(f"sample,label,{column}\n" + "\n".join(rows)))

    assert (found.task.classes, found.task.positive) == ((no, yes), yes)
    assert found.predictions[f"prob_{yes}"].to_list() == pytest.approx([0.1, 0.3, 0.5, 0.7])
    assert found.predictions[f"prob_{no}"].to_list() == pytest.approx([0.9, 0.7, 0.5, 0.3])
    assert any(f"{column} was taken for the probability of {yes}" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "columns", "what", "remedy"),
    [
        ("sample,label,score\n1,benign,0.2\n2,malignant,0.9\n", {}, "of which class", "--prob malignant=score"),
        ("sample,label,score\n1,0,0.2\n2,1,0.9\n", {"positive": "0"}, "of which class", "--prob 0=score"),
        ("sample,label,score,prob\n1,0,0.2,0.1\n2,1,0.9,0.1\n", {}, "prob, score could", "--prob 1=prob"),
        ("sample,label,prob_yes\n1,0,0.2\n2,1,0.9\n", {}, "no label is yes", "--prob 1=prob_yes"),
        ("sample,label,s\n1,0,0.2\n2,1,0.9\n", {"prob": ("yes=s",)}, "no label is yes", "--prob 1=s"),
        ("sample,label,score\n1,0,0.2\n2,1,0.9\n3,2,0.9\n", {}, "too few", "prob_<class>"),
        ("sample,label,score\n1,0,-1.2\n2,1,0.9\n", {}, "not between 0 and 1", ""),
        ("sample,label,score\n1,0,high\n2,1,0.9\n", {}, "prob_1 is empty or not a number", "line 2"),
        ('sample,label,score\n1,0,"0,4"\n2,1,0.9\n', {}, "decimal comma", "0.5"),
    ],
)
def test_one_column_that_may_be_of_either_class_is_refused(written, text, columns, what, remedy):
    """The message has the option that settles it."""
    with pytest.raises(BadData, match=what) as caught:
        intake(written(text), Columns(**columns))
    assert remedy in str(caught.value)


def test_a_score_beside_what_is_asked_for_is_left_alone(written):
    """Only where nothing else speaks is a column called score taken for probabilities."""
    found = intake(written("sample,label,prob_a,prob_b,score\n1,a,0.9,0.1,7\n2,b,0.3,0.7,8\n"))
    assert found.predictions["prob_b"].to_list() == [0.1, 0.7]
    readers = intake(written("sample,label,reader,rating,score\n1,0,x,1,9\n2,1,x,5,9\n"))
    assert dict(readers.scales) == {"x": "rating"}


def test_a_sample_with_two_labels_is_refused(written):
    """In another fold or another file: the message names both lines."""
    text = "sample,label,prob_a,prob_b,fold\n1,a,1,0,0\n2,b,0,1,0\n2,b,0,1,1\n1,b,1,0,1\n"
    with pytest.raises(BadData, match="the sample '1' has two labels") as caught:
        intake(written(text))
    assert "theirs.csv, line 2 and " in str(caught.value)
    assert "theirs.csv, line 5" in str(caught.value)
    with pytest.raises(BadData, match="the sample '002' has two labels") as caught:
        intake([written(GOOD), written(GOOD.replace("002,b", "002,a"), "other.csv")])
    assert "theirs.csv, line 3 and " in str(caught.value)
    assert "other.csv, line 3" in str(caught.value)


def test_tabs_and_parquet_are_read_too(written, tmp_path):
    """The same table as TSV or Parquet gives the same predictions."""
    plain = intake(written(GOOD)).predictions
    assert intake(written(GOOD.replace(",", "\t"), "theirs.tsv")).predictions.equals(plain)
    pl.read_csv(written(GOOD), schema_overrides={"sample": pl.String}).write_parquet(tmp_path / "theirs.parquet")
    assert intake(tmp_path / "theirs.parquet").predictions.equals(plain)


def test_a_run_that_did_not_know_its_patients_does_not_claim_to(written, tmp_path):
    """The predictions of a run name a patient in each row, and its metadata say whether anybody knew her."""
    rows = intake(written(GOOD)).predictions
    for known in (True, False):
        tables.write(rows, tables.PREDICTIONS, tmp_path / "run.parquet", {"patient_known": known})
        assert intake(tmp_path / "run.parquet").patient_known is known


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
        ("id,truth,prob_a,prob_b\n1,a,1,0\n", "--sample COLUMN --label COLUMN; there are: id, truth, prob_a"),
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
    with pytest.raises(BadData, match="no such file"):
        intake(tmp_path / "nowhere.csv")
    with pytest.raises(BadData, match="positive"):
        intake(written(GOOD), positive="c")


FINDINGS = """task,sample,patient,label,prob_absent,prob_present
acl,s1,p1,absent,0.9,0.1
acl,s2,p2,present,0.3,0.7
meniscus,s1,p1,present,0.4,0.6
meniscus,s2,p2,absent,0.8,0.2
"""


def test_a_column_of_tasks_makes_a_task_of_each_name(written):
    """Tasks share columns of probabilities; each has its rows, its name and the same classes."""
    acl, meniscus = intakes(written(FINDINGS))
    assert (acl.task.name, meniscus.task.name) == ("acl", "meniscus")
    assert acl.task.classes == meniscus.task.classes == ("absent", "present")
    assert acl.predictions.select("task", "sample", "label").rows() == [
        ("acl", "s1", "absent"),
        ("acl", "s2", "present"),
    ]
    assert meniscus.predictions["prob_present"].to_list() == [0.6, 0.2]


def test_a_task_has_the_classes_whose_columns_it_fills(written):
    """Two classes of its own, one column for two, three grades: what a task leaves empty belongs to another."""
    text = """task,sample,label,prob_no tear,prob_tear,prob_cyst,prob_0,prob_1,prob_2
acl,s1,no tear,0.9,0.1,,,,
acl,s2,tear,0.3,0.7,,,,
cyst,s1,cyst,,,0.4,,,
cyst,s2,none,,,0.1,,,
grade,s1,0,,,,0.5,0.3,0.2
grade,s2,2,,,,0.2,0.3,0.5
"""
    acl, cyst, grade = intakes(written(text), Columns(ordered=True, positive="cyst"))
    assert (acl.task.classes, acl.task.positive) == (("no tear", "tear"), "tear")
    assert (cyst.task.kind, cyst.task.positive, set(cyst.task.classes)) == ("binary", "cyst", {"cyst", "none"})
    assert (grade.task.kind, grade.task.classes) == ("ordinal", ("0", "1", "2"))
    assert cyst.predictions["prob_none"].to_list() == pytest.approx([0.6, 0.9])


def test_one_column_serves_every_finding_even_one_that_nobody_has(written):
    """The other class is known from the other tasks; a finding without a case is kept, and said."""
    lines = ["task,sample,label,prob_1", "acl,s1,0,0.1", "acl,s2,1,0.7", "cyst,s1,0,0.2", "cyst,s2,0,0.1"]
    _, cyst = intakes(written("\n".join(lines)))
    assert set(cyst.task.classes) == {"0", "1"}
    assert "No sample is labelled 1: what needs that class is undefined." in cyst.notes


def test_one_name_in_the_column_is_one_task(written):
    """Its name is kept, and a finding that nobody has is then refused as it always was."""
    one = "".join(line for line in FINDINGS.splitlines(keepends=True) if not line.startswith("meniscus"))
    assert intake(written(one)).task.name == "acl"
    with pytest.raises(BadData, match="every sample has the same label"):
        intake(written(one.replace("present,0.3", "absent,0.3")))


def test_files_may_hold_a_task_each_or_a_family_each(written):
    """A family without a name is the model where no task has two files; else each is called after its file."""
    acl, meniscus = (
        "".join(line for line in FINDINGS.splitlines(keepends=True) if not line.startswith(other))
        for other in ("meniscus", "acl")
    )
    by_task = intakes([written(acl, "one.csv"), written(meniscus, "two.csv")])
    assert [one.predictions["family"].unique().to_list() for one in by_task] == [["model"], ["model"]]
    by_family = intakes([written(FINDINGS, "ours.csv"), written(acl, "theirs.csv")])
    assert [one.predictions["family"].unique().sort().to_list() for one in by_family] == [["ours", "theirs"], ["ours"]]


@pytest.mark.parametrize(
    ("old", "new", "message", "where"),
    [
        ("present,0.4,0.6", "maybe,0.4,0.6", "the label has no probability column", "line 4, task meniscus"),
        ("0.4,0.6", "0.4,0.7", "sum to 1.1", "line 4, task meniscus"),
        ("meniscus,s2,p2", "meniscus,s1,p1", "stands here before", "line 5, task meniscus"),
        ("meniscus,s1", ",s1", "task is empty", "line 4"),
        ("meniscus,s2,p2", "meniscus,s2,p3", "a sample belongs to two patients", "sample s2"),
        ("meniscus,s2,p2", "all tasks,s2,p2", "no task can be called 'all tasks'", ""),
        ("meniscus,s2,p2,absent,0.8,0.2", "cyst,s2,p2,absent,1,", "1 probability column is too few", "task cyst"),
    ],
)
def test_a_bad_row_is_named_with_its_task(written, old, new, message, where):
    """The message says in which line of the file, and in which task."""
    with pytest.raises(BadData, match=message) as caught:
        intakes(written(FINDINGS.replace(old, new)))
    assert where in str(caught.value)


def test_what_is_asked_of_several_tasks_must_fit_one(written):
    """A positive class of no task, a file without tasks beside one with, several where one is wanted."""
    with pytest.raises(BadData, match="'torn' is in no task of two classes"):
        intakes(written(FINDINGS), Columns(positive="torn"))
    with pytest.raises(BadData, match="the column task is missing"):
        intakes([written(FINDINGS), written(GOOD, "other.csv")])
    with pytest.raises(BadData, match="there are 2 tasks: acl, meniscus"):
        intake(written(FINDINGS))


WITH_ROLES = "sample,label,prob_a,prob_b,role\n1,a,1,0,test\n2,b,0,1,test\n3,a,1,0,valid\n4,b,0,1,valid\n"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Test", "test"),
        (" test ", "test"),
        ("testing", "test"),
        ("val", "valid"),
        ("Validation", "valid"),
        ("TRAINING", "train"),
        ("calibration", "calib"),
        ("external", "external"),
    ],
)
def test_other_spellings_of_a_role_are_taken_and_said(written, theirs, ours):
    """Case, spaces and the usual words mean one of the five roles; the page says which was taken for which."""
    found = intake(written(WITH_ROLES.replace("1,a,1,0,test", f"1,a,1,0,{theirs}")))
    assert found.predictions["role"].to_list() == [ours, "test", "valid", "valid"]
    said = f"Roles were read as ours: {theirs.strip()!r} is {ours}."
    assert (said in found.notes) == (theirs.strip() != ours)


@pytest.mark.parametrize(("role", "message"), [("holdout", "the role 'holdout' is unknown"), ("", "role is empty")])
def test_a_role_that_nobody_knows_is_refused(written, role, message):
    """No row vanishes: the message names the line and the five roles."""
    with pytest.raises(BadData, match=message) as caught:
        intake(written(WITH_ROLES.replace("2,b,0,1,test", f"2,b,0,1,{role}")))
    assert "line 3" in str(caught.value)
    assert "train, valid, test, external, calib" in str(caught.value)


def test_a_column_of_roles_that_names_none_is_none(written):
    """All rows are then judged, as without the column."""
    found = intake(written(WITH_ROLES.replace(",test", ",").replace(",valid", ", ")))
    assert found.predictions["role"].unique().to_list() == ["test"]
    assert not any("Roles" in note for note in found.notes)


def test_rows_of_external_data_are_counted_where_they_are_not_judged(written):
    """The note says how many there are and how to judge them."""
    found = intake(written(WITH_ROLES.replace("valid", "external")))
    assert any("2 rows of the role external are not judged here" in note for note in found.notes)


def test_a_header_is_read_as_its_cells_are(written):
    """Doubled quotation marks stand for one, padding is no part of a class, and what has no name is left."""
    quoted = 'sample,label,prob_ a ,"prob_say ""b"""\n1,"a",1,0\n2,"say ""b""",0,1\n'
    found = intake(written(quoted))
    assert found.task.classes == ("a", 'say "b"')
    unnamed = "".join(f"{line},,\n" for line in GOOD.splitlines())
    assert intake(written(unnamed)).predictions.equals(intake(written(GOOD)).predictions)
    assert intake(written("\ufeff" + GOOD)).predictions.equals(intake(written(GOOD)).predictions)


def test_blank_lines_are_no_rows(written):
    """At the end or between rows, also where a spreadsheet left its commas; the lines are counted all the same."""
    blank = GOOD.replace("003,a", "\n  ,,,\n003,a") + "\n\n"
    assert intake(written(blank)).predictions.equals(intake(written(GOOD)).predictions)
    with pytest.raises(BadData, match=r"sum to 1\.4") as caught:
        intake(written(blank.replace("0.4,0.6", "0.8,0.6")))
    assert "line 6" in str(caught.value)
    with pytest.raises(BadData, match="there is no row"):
        intake(written("sample,label,prob_a,prob_b\n\n"))


@pytest.mark.parametrize(
    ("text", "what", "where", "remedy"),
    [
        (GOOD.replace("prob_b", "prob_a "), "the column 'prob_a' stands twice", "theirs.csv", "rename one"),
        (GOOD.replace(",", ";"), "separated by semicolons", "theirs.csv", "read_csv('theirs.csv', separator=';'"),
        (GOOD.replace(",", "\t"), "separated by tabs", "theirs.csv", "wanted: commas"),
        (GOOD.replace(",0.3,0.7", ',"0,3","0,7"'), "prob_a is written with a decimal comma", "line 3", "0.5"),
        (GOOD.replace(",0.3,0.7", ",0,3,0,7"), "the row has 6 cells, and the header 4", "line 3", "decimal points"),
    ],
)
def test_a_file_of_another_make_is_refused_with_what_to_do(written, text, what, where, remedy):
    """Doubled columns, other separators and decimal commas are named, and how to mend them is said."""
    with pytest.raises(BadData, match=what) as caught:
        intake(written(text))
    assert where in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(("old", "line"), [("prob_b", 1), ("002,b", 3)])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path, old, line):
    """In the header or in a row: the message names the line and says how to save it."""
    (tmp_path / "theirs.csv").write_bytes(GOOD.replace(old, old + "ö").encode("latin-1"))
    with pytest.raises(BadData, match="not UTF-8, perhaps Latin-1") as caught:
        intake(tmp_path / "theirs.csv")
    assert f"theirs.csv, line {line}" in str(caught.value)
    assert "CSV UTF-8" in str(caught.value)


@pytest.mark.parametrize("point", [".", ","])
def test_what_is_advised_for_semicolons_works(written, tmp_path, monkeypatch, point):
    """The line of Python in the message gives the file that was meant, names with leading zeros too."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadData) as caught:
        intake(written(GOOD.replace(",", ";").replace(".", point)))
    advice = str(caught.value).partition("in Python: ")[2]
    subprocess.run([sys.executable, "-c", f"import polars; {advice}"], check=True)
    assert intake(tmp_path / "new.csv").predictions.equals(intake(written(GOOD)).predictions)


def test_two_spellings_of_one_patient_are_said(written):
    """They count as one, so that no patient stands on two sides; the page says so."""
    text = GOOD.replace("\n", ",P1\n").replace("prob_b,P1", "prob_b,patient").replace("0.6,P1", "0.6,p1 ")
    [note] = [note for note in intake(written(text)).notes if "same patient" in note]
    assert note.startswith("1 patient id differs")


@pytest.mark.parametrize("word", ["NA", "unknown", " n/a ", "-"])
def test_a_word_for_unknown_is_no_patient(written, word):
    """All who are called so would else be one person, and intervals too wide."""
    text = GOOD.replace("\n", f",{word}\n").replace(f"prob_b,{word}", "prob_b,patient")
    with pytest.raises(BadData, match=f"{word.strip()!r} is no patient") as refusal:
        intake(written(text))
    assert "leave the column out" in str(refusal.value)
