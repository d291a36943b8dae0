from __future__ import annotations

import shutil

import numpy as np
import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.series_spec import SeriesSpec
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts.copies_mrnet import write_mrnet

ACL = SourceOptions(task="acl")


@pytest.fixture
def knees(tmp_path):
    return write_mrnet(tmp_path)


def labels_of(dataset):
    return dict(dataset.labels.select("case", "label").iter_rows())


def test_the_first_line_of_a_table_is_an_exam(knees):
    """The tables have no heading, so that exam 0000 is not lost."""
    assert (knees / "train-acl.csv").read_text().startswith("0000,1\n")

    assert labels_of(open_dataset(knees, ACL))["0000"] == "acl tear"


def test_ids_without_their_zeros(knees):
    """A spreadsheet turns 0001 into 1, which is still the exam of `0001.npy`."""
    assert (knees / "train-meniscus.csv").read_text().startswith("0,0\n1,1\n")

    assert labels_of(open_dataset(knees, SourceOptions(task="meniscus")))["0001"] == "meniscal tear"


@pytest.mark.parametrize(
    ("task", "positive", "exams"),
    [
        ("abnormal", "abnormal", ["0000", "0001", "0003", "1131"]),
        ("acl", "acl tear", ["0000", "0003", "1131"]),
        ("meniscus", "meniscal tear", ["0001", "0003", "1131"]),
    ],
)
def test_three_tables_are_three_tasks(knees, task, positive, exams):
    """The option `task` chooses the table, and each has names of its own for its classes."""
    dataset = open_dataset(knees, SourceOptions(task=task))

    assert (dataset.task.name, dataset.task.positive) == (task, positive)
    assert sorted(case for case, label in labels_of(dataset).items() if label == positive) == exams


def test_a_larger_copy(tmp_path):
    """The first exams stay as they were, and either part has both labels of every task."""
    dataset = open_dataset(write_mrnet(tmp_path / "more", n_more=24), ACL)
    few, many = open_dataset(write_mrnet(tmp_path / "few"), ACL).samples, dataset.samples

    assert (
        many.filter(case="0003").select("sample", "sha256").equals(few.filter(case="0003").select("sample", "sha256"))
    )
    for task in ("abnormal", "acl", "meniscus"):
        opened = open_dataset(tmp_path / "more" / "MRNet-v1.0", SourceOptions(task=task))
        counts = opened.labels.join(opened.official, on="case").group_by("role", "label").len()
        assert counts.height == 4
        assert counts["len"].min() >= 2


def test_without_a_task_it_is_asked_which(knees):
    """One study asks for one of the three."""
    for options in (SourceOptions(), SourceOptions(task="label")):
        with pytest.raises(BadSpec, match="choose the task: abnormal, acl, meniscus"):
            open_dataset(knees, options)


def test_planes_are_series_of_one_exam(knees):
    """Files have the same name in every plane; an exam is one case with samples of three series."""
    dataset = open_dataset(knees, ACL)
    counts = dataset.files.filter(dataset.samples["case"] == "0001")["series"].value_counts()

    assert dict(counts.iter_rows()) == {"sagittal": 4, "coronal": 6, "axial": 5}
    assert dataset.samples["sample"].n_unique() == dataset.samples.height
    assert dataset.samples["series_kind"].to_list() == dataset.files["series"].to_list()
    assert (dataset.samples["modality"].unique().to_list(), dataset.samples["body_part"].unique().to_list()) == (
        ["MR"],
        ["KNEE"],
    )


@pytest.mark.parametrize("unit", ["slice", "volume"])
def test_three_slices_are_no_colours(knees, unit):
    """An array of three slices is a stack like the others, not one picture in red, green and blue."""
    written = np.load(knees / "train/sagittal/0002.npy")
    assert written.shape == (3, 9, 8)

    dataset = open_dataset(knees, SourceOptions(task="acl", unit=unit))

    if unit == "volume":
        np.testing.assert_array_equal(dataset.load("0002-sagittal").pixels, written[None])
    else:
        np.testing.assert_array_equal(dataset.load("0002-sagittal-0002").pixels, written[2:])


def test_a_volume_is_one_series(knees):
    """Its slices are as many as there are in that plane; arrays tell no spacing."""
    dataset = open_dataset(knees, SourceOptions(task="acl", unit="volume"))

    assert dict(dataset.samples.filter(case="0000").select("sample", "depth_px").iter_rows()) == {
        "0000-sagittal": 6,
        "0000-coronal": 5,
        "0000-axial": 7,
    }
    assert dataset.samples["spacing_mm"].null_count() == dataset.samples.height


def test_one_plane_can_be_asked_for(knees):
    """Others are not read then; a mirror swaps left and right in coronal and axial slices, in sagittal ones not."""
    dataset = open_dataset(knees, SourceOptions(task="acl", series=SeriesSpec(plane="axial")))

    assert dataset.files["series"].unique().to_list() == ["axial"]
    assert dataset.flips
    assert not open_dataset(knees, ACL).flips


def test_an_exam_without_one_of_its_series(knees):
    """It stays with the two that it has, and it is said."""
    assert not (knees / "train/coronal/0003.npy").exists()

    dataset = open_dataset(knees, ACL)

    assert set(dataset.files.filter(dataset.samples["case"] == "0003")["series"]) == {"sagittal", "axial"}
    assert "1 series is missing; other series of the exam are read." in dataset.notes


def test_shadow_files_are_no_exams(knees):
    """Archives made on a Mac bring them for arrays and tables alike."""
    (knees / "._train-acl.csv").write_bytes(b"\0\5\x16\7")
    assert (knees / "train/axial/._0000.npy").is_file()

    dataset = open_dataset(knees, ACL)

    assert dataset.bad.is_empty()
    assert set(dataset.samples["case"]) == {"0000", "0001", "0002", "0003", "1130", "1131"}


def test_exams_are_not_patients(knees):
    """Some patients have two exams and nothing tells which, so whose they are counts as unknown."""
    dataset = open_dataset(knees, ACL)

    assert not dataset.patient_known
    assert any("some patients have two" in note for note in dataset.notes)


def test_the_part_valid_serves_as_test(knees):
    """The test of the challenge was never given out."""
    dataset = open_dataset(knees, ACL)

    assert dict(dataset.official.iter_rows()) == {
        "0000": "train", "0001": "train", "0002": "train", "0003": "train", "1130": "test", "1131": "test",
    }  # fmt: skip
    assert any("validation part serves as test" in note for note in dataset.notes)


def test_one_part_alone_is_no_split(knees):
    """Whoever has unpacked `train` alone draws a split of it."""
    (knees / "valid").rename(knees.parent / "elsewhere")

    assert open_dataset(knees, ACL).official is None


def test_labels_and_arrays_that_have_no_partner(knees):
    """An exam without arrays is listed, one without a label stays as unknown."""
    path = knees / "train-acl.csv"
    path.write_text(path.read_text().replace("0002,0\n", "0900,1\n"))

    dataset = open_dataset(knees, ACL)

    assert labels_of(dataset)["0002"] is None
    assert dataset.bad.select("path", "reason").rows() == [
        (str(knees / "train/sagittal/0900.npy"), "it has a label, and no array in any plane")
    ]


@pytest.mark.parametrize(
    "text",
    ["case,label\n0000,1\n", "0000,2\n", "0000\n", "0000,1,1\n", "0000,1\n0,0\n"],
    ids=["a heading", "neither 0 nor 1", "one column", "three columns", "a contradiction"],
)
def test_a_table_that_is_not_as_it_came(knees, text):
    """It is refused with its line, and nothing of it is quoted."""
    (knees / "train-acl.csv").write_text(text)

    with pytest.raises(BadData, match=r"line [12]"):
        open_dataset(knees, ACL)


def test_a_table_that_is_missing(knees):
    """The message names it."""
    (knees / "valid-acl.csv").unlink()

    with pytest.raises(BadData, match=r"valid-acl\.csv"):
        open_dataset(knees, ACL)


def test_damaged_arrays_are_listed_once(knees):
    """Of too few axes, truncated, of objects, without or with thousands of slices, an archive: each is one bad row."""
    written = np.load(knees / "train/axial/0000.npy")
    whole = (knees / "train/axial/0001.npy").read_bytes()
    np.save(knees / "train/axial/0000.npy", written[0])
    (knees / "train/axial/0001.npy").write_bytes(whole[: len(whole) // 2])
    np.save(knees / "train/axial/0002.npy", np.array([{}]), allow_pickle=True)
    np.save(knees / "train/axial/0003.npy", written[:0])
    np.save(knees / "train/coronal/0000.npy", np.zeros((100_000, 1, 1), np.uint8))
    with (knees / "train/coronal/0001.npy").open("wb") as file:
        np.savez(file, one=written)

    bad = open_dataset(knees, ACL).bad

    assert sorted(bad["path"]) == sorted(
        str(knees / f"train/{place}.npy")
        for place in ("axial/0000", "axial/0001", "axial/0002", "axial/0003", "coronal/0000", "coronal/0001")
    )


def test_the_folder_around_it_is_recognised(knees):
    """It does not matter whether the folder or the one around it is given."""
    assert open_dataset(knees.parent, ACL).fingerprint == open_dataset(knees, ACL).fingerprint


def test_tables_without_arrays(knees):
    """A message says that the arrays are missing."""
    shutil.rmtree(knees / "train")
    shutil.rmtree(knees / "valid")

    with pytest.raises(BadData, match="no arrays of slices"):
        open_dataset(knees, ACL)
