from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.copies_volumes import write_nifti

LABELS = ("benign", "malignant", "benign", "malignant")


@pytest.fixture
def write(tmp_path, picture):
    """A function that writes four pictures and a table of them with further columns."""

    def _write(columns, *, name="set.csv", image="image", label="label", labels=LABELS):
        files = [picture(f"img/{index}.png").relative_to(tmp_path).as_posix() for index in range(len(labels))]
        frame = pl.DataFrame({image: files, label: labels, **columns})
        frame.write_csv(tmp_path / name, separator="\t" if name.endswith("tsv") else ",")
        return tmp_path / name

    return _write


@pytest.mark.parametrize("name", ["set.csv", "set.tsv"])
def test_columns_by_their_usual_names(write, name):
    """Synonyms are recognised; "001" stays text; numbers become numbers; clinical columns come along."""
    path = write(
        {
            "SubjectID": ["001", "001", "002", "003"],
            "Case ID": ["c1", "c2", "c3", "c4"],
            "Laterality": ["L", "R", "left", ""],
            "Hospital": ["x", "x", "y", "y"],
            "split": ["train", "training", "val", "test"],
            "age": ["40", "51.5", "", "63"],
            "zip": ["01", "02", "03", "04"],
        },
        name=name,
        image="FileName",
        label="ValueToPredict",
    )

    dataset = open_dataset(path)
    samples = dataset.samples

    assert dataset.patient_known
    assert samples["patient"].to_list() == ["001", "001", "002", "003"]
    assert samples["case"].to_list() == ["c1", "c2", "c3", "c4"]
    assert samples["side"].to_list() == ["left", "right", "left", None]
    assert samples["site"].to_list() == ["x", "x", "y", "y"]
    assert dataset.official["role"].to_list() == ["train", "train", "valid", "test"]
    assert samples["age"].to_list() == [40.0, 51.5, None, 63.0]
    assert samples["zip"].to_list() == ["01", "02", "03", "04"]
    assert not {"label", "ValueToPredict"} & set(samples.columns)


def test_options_override(write):
    """What the user says goes before what names suggest."""
    path = write({"diagnosis_2": ["x", "y", "x", "z"], "patient": ["1", "2", "3", "4"]})

    dataset = open_dataset(
        path, SourceOptions(label="diagnosis_2", patient="none", kind="ordinal", classes=("z", "y", "x"), task="grade")
    )

    assert (dataset.task.name, dataset.task.kind, dataset.task.classes) == ("grade", "ordinal", ("z", "y", "x"))
    assert not dataset.patient_known
    assert "patient_given" in dataset.samples.columns


def test_unclear_columns(write, tmp_path):
    """A column that is missing or could be several is asked for, with the columns listed."""
    with pytest.raises(BadSpec, match=r"recognised as the label; the columns are: image, outcome(.|\n)*--label"):
        open_dataset(write({}, label="outcome"))
    with pytest.raises(BadSpec, match="case could be any of the columns study_id, exam_id"):
        open_dataset(write({"study_id": LABELS, "exam_id": LABELS}))
    with pytest.raises(BadSpec, match=r"columns plane, sequence(.|\n)*call it 'series_kind'"):
        open_dataset(write({"plane": LABELS, "sequence": LABELS}))
    with pytest.raises(BadSpec, match="no column 'nope'"):
        open_dataset(write({}), SourceOptions(patient="nope"))
    (tmp_path / "empty.csv").write_text("image,label\n")
    with pytest.raises(BadData, match="no rows"):
        open_dataset(tmp_path / "empty.csv")


def test_gaps_are_listed(write, tmp_path):
    """A row without label, image or patient becomes a bad row with its reason; the rest is used."""
    path = write({"patient": ["1", "2", "3", "4"]})
    with path.open("a") as file:
        file.write("img/none.png,benign,5\nimg/0.png,,6\n,benign,7\nimg/1.png,benign,\n")

        file.write("img/lost.png,benign,8\n")
    (tmp_path / "img/lost.png").symlink_to("nowhere.png")

    dataset = open_dataset(path)

    assert dataset.samples.height == 4
    reasons = dataset.bad["reason"].to_list()
    assert reasons.pop() == "the link leads nowhere"
    assert reasons == [
        "there is no such file",
        "the row has no label",
        "the row names no image",
        "the row has no patient, others have one",
    ]


@pytest.mark.parametrize("word", ["?", "n.a.", "N/A", "-", "unknown", "nan", "null"])
def test_words_for_unknown_are_no_labels(write, word):
    """They are those of a table of exams; one that is among the named classes is meant."""
    path = write({}, labels=("benign", "malignant", word, "benign", word))

    dataset = open_dataset(path)
    named = open_dataset(path, SourceOptions(classes=("benign", "malignant", word)))

    assert dataset.task.classes == ("benign", "malignant")
    assert set(dataset.bad["reason"]) == {"the row has no label"}
    assert named.task.classes == ("benign", "malignant", word)


def test_contradictions(write):
    """A case with two labels or two patients, and an unknown role, are refused."""
    with pytest.raises(BadData, match=r"two or more labels(.|\n)*--case none"):
        open_dataset(write({"case": ["a", "a", "b", "c"]}))
    with pytest.raises(BadData, match="two or more patients"):
        open_dataset(write({"case": ["a", "b", "a", "c"], "patient": ["1", "2", "3", "4"]}))
    with pytest.raises(BadData, match=r"says 'holdout'(.|\n)*--role none"):
        open_dataset(write({"split": ["train", "train", "holdout", "test"]}))
    with pytest.raises(BadData, match="not among the classes"):
        open_dataset(write({}), SourceOptions(classes=("benign",)))
    with pytest.raises(BadData, match="no readable image has the label 'odd'"):
        open_dataset(write({}), SourceOptions(classes=("benign", "malignant", "odd")))
    with pytest.raises(BadData, match="nothing to tell apart"):
        open_dataset(write({}, labels=("a",) * 4))


def test_labels_that_differ_in_case_or_blanks_alone_are_one_class(write):
    """The most frequent spelling stands, and a note says so; who names the classes says which are apart."""
    path = write({}, labels=("Benign", "benign ", "Benign", "malignant", "malig  nant", "malig nant"))
    taken = open_dataset(path)
    named = open_dataset(path, SourceOptions(classes=("benign", "Malignant", "malig nant"), positive=None))
    apart = open_dataset(path, SourceOptions(classes=("benign", "Benign", "malignant", "malig nant")))

    assert taken.task.classes == ("Benign", "malig nant", "malignant")
    assert any("'benign' (1)" in note and "'Benign' (2)" in note and "--classes" in note for note in taken.notes)
    assert named.task.classes == ("benign", "Malignant", "malig nant")
    assert apart.task.classes == ("benign", "Benign", "malignant", "malig nant")
    assert not any("'Benign'" in note for note in apart.notes)


def test_whole_numbers_are_one_class_however_they_are_written(write):
    """A program writes 1.0 where a column has gaps; a label that is no number leaves all as they are."""
    path = write({}, labels=("0.0", "1", "1.0", "1.0", ""))
    taken = open_dataset(path, SourceOptions(positive="1.0"))
    named = open_dataset(path, SourceOptions(classes=("0.0", "1.0")))
    words = open_dataset(write({}, labels=("v1", "1.0", "1", "v1")))

    assert (taken.task.classes, taken.task.positive) == (("0", "1"), "1")
    assert any("'1.0' (2) is taken for '1' (1): they are one number" in note for note in taken.notes)
    assert named.task.classes == ("0.0", "1.0")
    assert words.task.classes == ("1", "1.0", "v1")


def test_labels_that_differ_in_unicode_form_alone_are_one_class(write):
    """An umlaut is one sign or two, and nobody sees which; the note says so."""
    dataset = open_dataset(write({}, labels=("L\u00e4sion", "La\u0308sion", "L\u00e4sion", "normal")))

    assert dataset.task.classes == ("L\u00e4sion", "normal")
    assert any("Unicode form" in note for note in dataset.notes)


def test_rows_that_are_wholly_empty_are_skipped(write):
    """A spreadsheet leaves them at the end, and a column without a name beside them."""
    path = write({"": [""] * 4})
    with path.open("a") as file:
        file.write(",,\n , ,\n")

    assert open_dataset(path).bad.is_empty()


def test_classes_may_stand_in_one_word(write):
    """As `--classes benign,malignant` says them; a comma in one of several names is part of it."""
    plain, commas = write({}), write({}, name="commas.csv", labels=("a, late", "b", "a, late", "b"))

    assert open_dataset(plain, SourceOptions(classes=("malignant, benign",))).task.classes == ("malignant", "benign")
    assert open_dataset(commas, SourceOptions(classes=("b", "a, late"))).task.classes == ("b", "a, late")


def test_a_column_of_measurements_is_no_label(write):
    """Sixty numbers make no sixty classes, unless somebody says so."""
    path = write({}, labels=tuple(f"{0.5 + at / 4}" for at in range(60)))

    with pytest.raises(BadData, match=r"60 different numbers, from 0.5 to 15.25") as caught:
        open_dataset(path)
    assert "--label" in caught.value.remedy
    assert len(open_dataset(path, SourceOptions(kind="multiclass")).task.classes) == 60
    assert len(open_dataset(write({}, labels=tuple(map(str, range(20))))).task.classes) == 20


def test_images_found_without_ending_and_in_their_folder(tmp_path, picture):
    """A table may leave out `images/` and `.png`; the semicolon of a European spreadsheet is understood."""
    for name in ("a", "b"):
        picture(f"images/{name}.png")
    (tmp_path / "set.csv").write_text("﻿image;label\na;x\nb;y\n", encoding="utf-8")

    assert open_dataset(tmp_path / "set.csv").samples["sample"].to_list() == ["a", "b"]


def test_a_table_of_volumes(tmp_path):
    """Slices of a volume are samples of its case, unless a row names a frame; or the volume is the sample."""
    for index in range(4):
        write_nifti(tmp_path / f"v/{index}.nii.gz", np.full((3, 5, 6), index, np.int16), (3.0, 1.0, 1.0))
    lines = ["image,label,patient,exam,frame", *(f"v/{at}.nii.gz,{'ab'[at % 2]},P{at},E{at}," for at in range(3))]
    (tmp_path / "t.csv").write_text("\n".join([*lines, "v/3.nii.gz,b,P3,E3,1"]))

    slices = open_dataset(tmp_path / "t.csv")
    volumes = open_dataset(tmp_path / "t.csv", SourceOptions(unit="volume"))

    assert slices.samples.filter(case="E1")["sample"].to_list() == ["v/1-0000", "v/1-0001", "v/1-0002"]
    assert slices.samples.filter(case="E3")["sample"].to_list() == ["v/3"]
    assert slices.files.filter(sample="v/3")["frame"].to_list() == [1]
    assert volumes.samples["depth_px"].to_list() == [3, 3, 3, 1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "there is no such file"),
        ("absent.xlsx", None, "there is no such file"),
        ("empty.csv", b"", "the table is empty"),
        ("long.csv", b"image,label\na.png,x\nb.png,y,z\n", r"3 cells, and the header 2(.|\n)*line 3"),
        ("latin.csv", "image,label\na.png,l\u00e4sion\n".encode("latin-1"), r"not UTF-8(.|\n)*line 2"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(write, tmp_path, name, content, words):
    """Whether it lists images or brings facts; nobody has to look for the line."""
    images = write({})
    if content is not None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadData, match=words):
            open_dataset(tmp_path / name)

    with pytest.raises(BadData, match=words):
        open_dataset(images, SourceOptions(context=(str(tmp_path / name),)))


def test_lines_that_end_as_on_an_old_mac(write):
    """A carriage return alone ends them."""
    path = write({"patient": ["1", "2", "3", "4"]})
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))

    assert open_dataset(path).samples["patient"].to_list() == ["1", "2", "3", "4"]
