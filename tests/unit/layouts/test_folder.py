from __future__ import annotations

import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.errors import BadData, BadSpec


def test_class_folders(tmp_path, picture):
    """Folders are classes, whole numbers sort as numbers, and other files are told."""
    for label in ("10", "2", "0"):
        for index in range(2):
            picture(f"set/{label}/{index}.png")
    (tmp_path / "set/2/readme.txt").write_text("hello")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.task.classes == ("0", "2", "10")
    assert (dataset.task.kind, dataset.official, dataset.patient_known) == ("multiclass", None, False)
    assert dataset.samples["sample"].to_list()[0] == "0/0"
    assert dataset.samples["patient"].to_list() == dataset.samples["sample"].to_list()
    assert "1 files that are no images (.txt)" in dataset.notes[0]
    assert dataset.load("2/1").space == (6, 8)


def test_official_split(tmp_path, picture):
    """`train`, `val` and `test` over class folders become the official split."""
    for part in ("Train", "val", "test"):
        for label in ("benign", "malignant"):
            picture(f"set/{part}/{label}/a.png")

    dataset = open_dataset(tmp_path / "set")

    assert dict(dataset.official.rows())["val/benign/a"] == "valid"
    assert set(dataset.official["role"]) == {"train", "valid", "test"}
    assert dataset.task.positive == "malignant"


def test_valid_serves_as_test(tmp_path, picture):
    """Without a test part, the validation part is the test, and a note says so."""
    for part in ("train", "val"):
        for label in ("a", "b"):
            picture(f"set/{part}/{label}/a.png")

    dataset = open_dataset(tmp_path / "set")

    assert set(dataset.official["role"]) == {"train", "test"}
    assert any("serves as test" in note for note in dataset.notes)


def test_refusals(tmp_path, picture):
    """Nothing there, one class, an empty class, loose images, wrong options: each has its own sentence."""
    picture("loose/a.png")
    picture("one/a/a.png")
    picture("empty/a/a.png")
    (tmp_path / "empty/b").mkdir()
    (tmp_path / "nothing").mkdir()
    for name, words in (
        ("absent", "no such file or folder"),
        ("nothing", "no images were found"),
        ("loose", "side by side"),
        ("loose/a.png", "one image is no data set"),
        ("one", "nothing to tell apart"),
        ("empty", "holds no image"),
    ):
        with pytest.raises(BadData, match=words):
            open_dataset(tmp_path / name)
    with pytest.raises(BadSpec, match="only a table"):
        open_dataset(tmp_path / "one", SourceOptions(label="x"))


def test_misspelt_name(tmp_path):
    """A name that is nearly one of ours is recognised."""
    with pytest.raises(BadData, match="breastmnist"):
        open_dataset("brestmnist", cache=tmp_path)
