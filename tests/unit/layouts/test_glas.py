from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds import splits
from grandrounds.data import open_dataset
from grandrounds.errors import BadData
from grandrounds.layouts.copies import write_glas
from grandrounds.splits import SplitSpec
from grandrounds.tables import SAMPLES


def cases_of(dataset):
    """Return one row a case with patient, label and official role."""
    cases = dataset.samples.select("case", "patient").join(dataset.labels.select("case", "label"), on="case")
    return cases.join(dataset.official, on="case", how="left")


def test_what_was_written_is_read(tmp_path):
    """Colour pixels, grades, patients and roles come back; masks are no images."""
    dataset = open_dataset(write_glas(tmp_path))

    rng = np.random.default_rng(0)
    for name in ("testA_1", "testA_2", "testB_1", "testB_2", "train_1"):
        expected = rng.integers(0, 255, (32, 40, 3), dtype=np.uint8)
        assert np.array_equal(np.moveaxis(dataset.load(name).pixels, 0, -1), expected)
    assert dataset.labels.filter(case="testA_2")["label"].item() == "malignant"
    assert dict(dataset.official.rows()) | {"testB_1": "test", "train_4": "train"} == dict(dataset.official.rows())
    assert dataset.samples.height == 8
    assert (dataset.task.positive, dataset.patient_known) == ("malignant", True)


def test_blanks_in_the_table_are_no_part_of_names_and_values(tmp_path):
    """Headers and values may start and end with blanks and a byte order mark; lines end as on any system."""
    folder = write_glas(tmp_path)
    table = folder / "Grade.csv"
    text = "\ufeff" + table.read_text().replace("benign", "  benign ").replace("\n", " \r\n") + "\r\n , , ,\r\n"
    table.write_bytes(text.encode())

    dataset = open_dataset(folder)

    assert dataset.task.classes == ("benign", "malignant")
    assert dataset.samples.filter(sample="train_1")["patient"].item() == "1"


def test_the_official_split_is_watermarked_leaky(tmp_path):
    """Patients 1 and 3 are in train and in test: the plan says so, and so does the data set."""
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
    """It would give the label away to whatever reads clinical columns, misspelt as it is."""
    samples = open_dataset(write_glas(tmp_path)).samples

    assert set(samples.columns) == set(SAMPLES.columns)
    assert "differentated" in next(tmp_path.rglob("Grade.csv")).read_text()


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
    folder = write_glas(tmp_path)
    Pillow.fromarray(np.zeros((20, 21, 3), np.uint8)).save(folder / "train_4.bmp")

    assert open_dataset(folder).load("train_4").space == (20, 21)
