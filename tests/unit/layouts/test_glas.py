from __future__ import annotations

import pytest

from grandrounds import splits
from grandrounds.data import open_dataset
from grandrounds.errors import BadData
from grandrounds.layouts.copies_glas import write_glas
from grandrounds.splits import SplitSpec
from grandrounds.tables import SAMPLES


def cases_of(dataset):
    """Return one row a case with patient, label and official role."""
    cases = dataset.samples.select("case", "patient").join(dataset.labels.select("case", "label"), on="case")
    return cases.join(dataset.official, on="case", how="left")


def test_grades_patients_and_parts(tmp_path):
    """The table gives grade and patient, the name gives the part; testA and testB are both the test."""
    dataset = open_dataset(write_glas(tmp_path))

    rows = cases_of(dataset).select("case", "patient", "label", "role").sort("case").rows()
    assert rows == [
        ("testA_1", "2", "malignant", "test"),
        ("testA_2", "10", "benign", "test"),
        ("testB_1", "3", "malignant", "test"),
        ("testB_2", "4", "benign", "test"),
        ("train_1", "2", "malignant", "train"),
        ("train_10", "6", "benign", "train"),
        ("train_2", "10", "benign", "train"),
        ("train_3", "5", "malignant", "train"),
    ]
    assert (dataset.task.positive, dataset.patient_known) == ("malignant", True)


def test_masks_are_no_images(tmp_path):
    """Each image has a mask called `_anno` beside it, which is not opened."""
    folder = write_glas(tmp_path)

    assert len(list(folder.glob("*_anno.bmp"))) == 8
    assert not any("anno" in sample for sample in open_dataset(folder).samples["sample"])


def test_blanks_in_the_table_are_no_part_of_names_and_values(tmp_path):
    """Headers and values start with a blank, as in the real table; more of them and other line ends change nothing."""
    folder = write_glas(tmp_path)
    before, table = open_dataset(folder).fingerprint, folder / "Grade.csv"
    lines = table.read_text().splitlines()
    assert lines[0] == "name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
    assert lines[1].split(",")[1:3] == [" 2", " malignant"]

    text = "\ufeff" + table.read_text().replace("benign", "  benign ").replace("\n", " \r\n") + "\r\n , , ,\r\n"
    table.write_bytes(text.encode())

    assert open_dataset(folder).fingerprint == before


def test_the_official_split_is_watermarked_leaky(tmp_path):
    """Patients 2 and 10 are in train and in test: the plan says so, and so does the data set."""
    dataset = open_dataset(write_glas(tmp_path))

    plan = splits.draw(cases_of(dataset), SplitSpec(), 0, fingerprint="x")

    assert plan.leaky
    assert plan.notes[0].startswith("LEAKY")
    assert "2 patients" in plan.notes[0]
    assert any("leaks" in note for note in dataset.notes)


def test_folds_by_patient_do_not_leak(tmp_path):
    """The other scheme keeps patients on one side."""
    dataset = open_dataset(write_glas(tmp_path))

    assert not splits.draw(cases_of(dataset), SplitSpec(scheme="kfold", folds=2), 0, fingerprint="x").leaky


def test_the_finer_grade_does_not_come_along(tmp_path):
    """It would give the label away to whatever reads clinical columns; one of its values is spelt in two ways."""
    samples = open_dataset(write_glas(tmp_path)).samples

    assert set(samples.columns) == set(SAMPLES.columns)
    text = next(tmp_path.rglob("Grade.csv")).read_text()
    assert "moderately differentated" in text
    assert "moderately differentiated" in text
    assert "moderately-to-poorly differentated" in text


def test_the_parent_folder_is_recognised(tmp_path):
    """The archive has a folder of its own inside."""
    write_glas(tmp_path)

    assert open_dataset(tmp_path).name == "glas"


def test_class_folders_with_a_table_beside_stay_class_folders(tmp_path, picture):
    """A table called `Grade.csv` alone is no tell-tale, nor are images of GlaS sorted into class folders."""
    for label in ("benign", "malignant"):
        picture(f"set/{label}/train_1.bmp")
    (tmp_path / "set" / "Grade.csv").write_text("name, patient ID, grade (GlaS)\n")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.name == "set"
    assert dataset.samples["sample"].to_list() == ["benign/train_1", "malignant/train_1"]


def test_rows_that_cannot_be_used_are_listed(tmp_path):
    """A missing image, an unknown grade and an unknown part each have their own reason."""
    folder = write_glas(tmp_path)
    with (folder / "Grade.csv").open("a") as file:
        file.write("\ntrain_9, 1, benign, healthy\ntrain_1, 1, unsure, healthy\nextra_1, 1, benign, healthy\n")

    reasons = open_dataset(folder).bad["reason"].to_list()

    assert [reason.split(",")[-1].split("Grade.csv")[-1] for reason in reasons] == [
        " and there is no such file",
        " is neither benign nor malignant",
        " testA nor testB",
    ]


def test_a_table_without_its_columns_is_refused(tmp_path):
    """The columns that are missing are named."""
    folder = write_glas(tmp_path)
    (folder / "Grade.csv").write_text("name, grade\ntrain_1, benign\n")

    with pytest.raises(BadData, match="patient ID"):
        open_dataset(folder)


def test_sizes_may_differ(tmp_path):
    """Not every image of the set has the same size; each keeps its own."""
    dataset = open_dataset(write_glas(tmp_path))

    assert dataset.load("train_10").pixels.shape == (3, 32, 30)
    assert dataset.load("train_1").pixels.shape == (3, 32, 40)
