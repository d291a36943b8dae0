from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds import specs
from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.catalogue import MEDMNIST
from grandrounds.data.fingerprint import fingerprint
from grandrounds.errors import BadData, BadSpec
from grandrounds.layouts import npz

REAL = os.environ.get("GRANDROUNDS_TEST_DATA")
needs_real = pytest.mark.skipif(REAL is None, reason="GRANDROUNDS_TEST_DATA names no folder of real images")
RNG = np.random.default_rng(0)


def _part(part, n, **more):
    images = RNG.integers(0, 255, (n, 7, 9), dtype=np.uint8)
    return {f"{part}_images": images, f"{part}_labels": np.arange(n)[:, None] % 2} | {
        f"{part}_{name}": values for name, values in more.items()
    }


def test_parts_patients_and_sides(tmp_path):
    """Parts are roles; further arrays of the same length are columns."""
    arrays = _part("train", 4, patient=np.array([7, 7, 8, 9]), side=np.array(["L", "R", "L", "R"])) | _part(
        "val", 2, patient=np.array([1, 2]), side=np.array(["L", "L"])
    )
    np.savez(tmp_path / "own.npz", **arrays)

    dataset = open_dataset(tmp_path / "own.npz")

    assert dataset.patient_known
    assert dataset.samples["patient"].to_list() == ["7", "7", "8", "9", "1", "2"]
    assert dataset.samples["side"].to_list() == ["left", "right", "left", "right", "left", "left"]
    assert dataset.official["role"].to_list() == ["train"] * 4 + ["test"] * 2
    assert dataset.task.classes == ("0", "1")
    np.testing.assert_array_equal(dataset.load("train-00002").pixels[0], arrays["train_images"][2])


def test_colour_archive(tmp_path):
    """(N, H, W, 3) keeps its colours, and one part alone is no split."""
    images = RNG.integers(0, 255, (4, 7, 9, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=np.array([0, 1, 0, 1]))

    dataset = open_dataset(tmp_path / "own.npz")

    assert dataset.official is None
    assert dataset.load("train-00001").pixels.shape == (3, 7, 9)


def test_refusals(tmp_path):
    """Other numbers of labels, labels of many axes, foreign arrays, and a broken archive are refused."""
    cases = {
        "many.npz": ({"train_images": np.zeros((4, 5, 6)), "train_labels": np.zeros((4, 1, 2))}, "shape"),
        "one.npz": ({"train_images": np.zeros((4, 5, 6)), "train_labels": np.array(3)}, "one number"),
        "odd.npz": ({"train_images": np.zeros((4, 5, 6)), "train_labels": np.zeros(3)}, "another number of label"),
        "else.npz": ({"x": np.zeros(3)}, "it has: x"),
        "breastmnist.npz": (_part("train", 4), None),
    }
    for name, (arrays, words) in cases.items():
        np.savez(tmp_path / name, **arrays)
        if words:
            with pytest.raises(BadData, match=words):
                open_dataset(tmp_path / name)
    assert open_dataset(tmp_path / "breastmnist.npz").published == ()  # another archive of the same name
    (tmp_path / "cut.npz").write_bytes((tmp_path / "many.npz").read_bytes()[:100])
    with pytest.raises(BadData, match="not a complete NPZ archive"):
        open_dataset(tmp_path / "cut.npz")


@pytest.mark.parametrize("name", ["train_images", "train_labels", "train_patient"])
def test_an_archive_of_python_objects_says_so(tmp_path, name):
    """They are never loaded, and nothing is damaged: the message says what to save instead."""
    arrays = _part("train", 4) | {"train_patient": np.arange(4)}
    objects = np.empty(4, dtype=object)
    objects[:] = list(arrays[name])
    np.savez_compressed(tmp_path / "own.npz", **(arrays | {name: objects}))

    with pytest.raises(BadData, match=f"{name} holds Python objects, which are never loaded") as caught:
        open_dataset(tmp_path / "own.npz")
    assert "numpy.stack" in caught.value.remedy


@needs_real
def test_real_breastmnist():
    """780 images, 210 of them malignant; one pair of identical pixels contradicts itself across train and test."""
    dataset = open_dataset(Path(str(REAL)) / "breastmnist" / "breastmnist.npz")
    found = fingerprint(dataset)

    assert (dataset.task.classes, dataset.task.positive) == (("malignant", "normal or benign"), "malignant")
    assert dict(dataset.official["role"].value_counts().rows()) == {"train": 546, "valid": 78, "test": 156}
    assert dataset.labels.filter(pl.col("label") == "malignant").height == 210
    assert found.duplicates.groups == (("train-00115", "test-00076"),)
    assert (found.duplicates.across_labels, found.duplicates.across_roles) == (1, 1)
    assert ("ResNet-18 (28)", "auc", 0.901) in {(one.method, one.metric, one.value) for one in dataset.published}


@needs_real
def test_real_pneumoniamnist():
    """27 groups of identical images, 29 surplus, 8 across roles, labels agree."""
    found = fingerprint(open_dataset(Path(str(REAL)) / "pneumoniamnist" / "pneumoniamnist.npz"))

    assert found.n_samples == 5_856
    assert (found.duplicates.n_groups, found.duplicates.n_surplus) == (27, 29)
    assert (found.duplicates.across_labels, found.duplicates.across_roles) == (0, 8)
    assert found.duplicates.across_patients is None


@needs_real
def test_real_knees():
    """Every patient has two knees, left and right; `val` serves as test and shares no patient with train."""
    dataset = open_dataset(Path(str(REAL)) / "knee_oa" / "knee_oa_64.npz")
    found = fingerprint(dataset)

    assert (found.n_samples, found.n_patients) == (6_604, 3_302)
    assert found.samples_per_patient.low == found.samples_per_patient.high == 2
    assert found.sides == {"left": 3_302, "right": 3_302}
    assert (dataset.task.kind, dataset.flips) == ("ordinal", False)
    assert dict(dataset.official["role"].value_counts().rows()) == {"train": 5_778, "test": 826}
    assert not any("leaks" in warning for warning in found.warnings)


CHEST = (  # Wang et al. 2017, in the order of the archive
    "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax",
    "consolidation", "edema", "emphysema", "fibrosis", "pleural thickening", "hernia",
)  # fmt: skip


def _as_published(monkeypatch, **counts):
    """Make archives of a few images pass for the published ones."""
    table = specs.read_toml(Path(npz.__file__).with_name("published.toml"))
    for name, n in counts.items():
        table[name]["counts"] = n
    monkeypatch.setattr(npz.specs, "read_toml", lambda _: table)


def test_positive_is_who_is_ill(tmp_path, monkeypatch):
    """BreastMNIST calls 0 malignant; sensitivity speaks of the malignant all the same, and a note says so."""
    _as_published(monkeypatch, breastmnist=[4, 0, 2])
    np.savez(tmp_path / "breastmnist.npz", **_part("train", 4) | _part("test", 2))

    dataset = open_dataset(tmp_path / "breastmnist.npz")

    assert dataset.labels["label"].to_list()[:2] == ["malignant", "normal or benign"]
    assert dataset.task.positive == "malignant"
    assert any("label 1 (normal or benign) positive" in note for note in dataset.notes)


def test_one_of_many_findings(tmp_path, monkeypatch):
    """ChestMNIST has fourteen labels: a study asks for one of them by its name, absent or present by itself."""
    _as_published(monkeypatch, chestmnist=[4, 0, 2])
    labels = np.zeros((4, 14), np.uint8)
    labels[1, 7] = labels[1, 0] = labels[2, 7] = 1
    arrays = _part("train", 4) | {"train_labels": labels} | _part("test", 2) | {"test_labels": labels[:2]}
    np.savez(tmp_path / "chestmnist.npz", **arrays)

    dataset = open_dataset(tmp_path / "chestmnist.npz", SourceOptions(task="pneumothorax"))

    assert dataset.labels["label"].to_list() == [
        "no pneumothorax", "pneumothorax", "pneumothorax", "no pneumothorax", "no pneumothorax", "pneumothorax",
    ]  # fmt: skip
    assert (dataset.task.name, dataset.task.kind, dataset.task.positive) == ("pneumothorax", "binary", "pneumothorax")
    assert any("asks for one of them" in note for note in dataset.notes)
    with pytest.raises(BadSpec, match=", ".join(CHEST)):
        open_dataset(tmp_path / "chestmnist.npz")


def test_one_of_many_labels_without_names(tmp_path):
    """In an archive that nobody knows the columns of the labels are numbers."""
    np.savez(tmp_path / "own.npz", **_part("train", 4) | {"train_labels": np.eye(4, 3)})

    assert open_dataset(tmp_path / "own.npz", SourceOptions(task="2")).labels["label"].to_list() == [
        "no 2", "no 2", "2", "no 2",
    ]  # fmt: skip


@pytest.mark.parametrize("size", ["", "_64", "_128", "_224"])
def test_a_size_has_the_same_classes_and_no_results(tmp_path, monkeypatch, size):
    """Larger sizes are the same images: classes and order hold, results of others were measured at 28 pixels."""
    _as_published(monkeypatch, retinamnist=[5, 0, 5])
    labels = {f"{part}_labels": np.array([[4], [3], [2], [1], [0]]) for part in ("train", "test")}
    np.savez(tmp_path / f"retinamnist{size}.npz", **_part("train", 5) | _part("test", 5) | labels)

    dataset = open_dataset(tmp_path / f"retinamnist{size}.npz")

    assert (dataset.task.kind, dataset.task.classes) == ("ordinal", ("0", "1", "2", "3", "4"))
    assert bool(dataset.published) == (size == "")
    assert f"retinamnist{size}" in MEDMNIST


def test_volumes(tmp_path, monkeypatch):
    """The sets of MedMNIST 3D are volumes: by default their slices are samples and they are cases, or as they are."""
    _as_published(monkeypatch, fracturemnist3d=[3, 0, 3])
    arrays = {}
    for part in ("train", "test"):
        arrays[f"{part}_images"] = RNG.integers(0, 255, (3, 5, 6, 7), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.array([[0], [1], [2]])
    np.savez(tmp_path / "fracturemnist3d_64.npz", **arrays)

    slices = open_dataset(tmp_path / "fracturemnist3d_64.npz")
    volumes = open_dataset(tmp_path / "fracturemnist3d_64.npz", SourceOptions(unit="volume"))

    assert (slices.samples.height, slices.samples["case"].n_unique()) == (30, 6)
    np.testing.assert_array_equal(slices.load("test-00002-004").pixels, arrays["test_images"][2, 4][None])
    assert slices.task.classes == ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture")
    assert volumes.samples.select("depth_px", "height_px", "width_px").unique().rows() == [(5, 6, 7)]
    np.testing.assert_array_equal(volumes.load("test-00002").pixels, arrays["test_images"][2][None])
    assert volumes.labels.sort("case").rows() == slices.labels.sort("case").rows()


def test_an_array_that_is_too_large_is_read_from_its_unpacked_form(tmp_path, monkeypatch):
    """What cannot be held in memory is refused with the way out, and read image by image once it is unpacked."""
    arrays = _part("train", 4) | _part("test", 2)
    np.savez(tmp_path / "own.npz", **arrays)
    small = open_dataset(tmp_path / "own.npz")
    monkeypatch.setattr(npz, "MAX_MEMBER_BYTES", 100)

    with pytest.raises(BadData, match=r"unzip own\.npz -d own"):
        open_dataset(tmp_path / "own.npz")
    npz.unpack_large(tmp_path / "own.npz")
    unpacked = open_dataset(tmp_path / "own.npz")

    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["test_images.npy", "train_images.npy"]
    assert unpacked.fingerprint == small.fingerprint
    np.testing.assert_array_equal(unpacked.load("test-00001").pixels[0], arrays["test_images"][1])


def test_what_is_known_of_medmnist_is_what_the_package_says():
    """Numbers of images, classes and their order of all eighteen sets, against the table of the package."""
    info = pytest.importorskip("medmnist").INFO
    known = specs.read_toml(Path(npz.__file__).with_name("published.toml"))

    assert len(info) == 18
    assert set(MEDMNIST) >= set(info)
    for name, said in info.items():
        ours, theirs = known[name], [said["label"][str(index)] for index in range(len(said["label"]))]
        assert ours["counts"] == [said["n_samples"][part] for part in ("train", "val", "test")]
        names = ours.get("classes") or ours["findings"]
        assert len(names) == len(theirs)
        for one, other in zip(names, theirs, strict=True):
            assert one.lower().split()[0].strip(",") == other.lower().split("(")[0].split()[0].strip(",")
        sizes = [f"{name}_{key.removeprefix('url_')}" for key in said if key.startswith("url_")]
        assert set(sizes) == {one for one in MEDMNIST if one.startswith(f"{name}_")}


def test_by_name_from_the_cache(tmp_path):
    """A set that was fetched before is opened by its name without a network."""
    (tmp_path / "medmnist").mkdir()
    np.savez(tmp_path / "medmnist" / "organamnist.npz", **_part("train", 4), **_part("test", 2))

    dataset = open_dataset("organamnist", cache=tmp_path)

    assert (dataset.name, dataset.samples.height) == ("organamnist", 6)


def test_by_name_offline(tmp_path, monkeypatch):
    """Without a network the message says what to download and where to put it."""
    pytest.importorskip("medmnist")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens on the discard port
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers proxies, also for later tests

    with pytest.raises(BadData, match=r"could not be fetched[\s\S]*download https?://[\s\S]*put it there"):
        open_dataset("breastmnist", cache=tmp_path)
