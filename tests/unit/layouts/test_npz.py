from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from grandrounds.data import open_dataset
from grandrounds.data.fingerprint import fingerprint
from grandrounds.errors import BadData

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
    """Several labels an image, other numbers of labels, foreign arrays, and a broken archive are refused."""
    cases = {
        "many.npz": ({"train_images": np.zeros((4, 5, 6)), "train_labels": np.zeros((4, 14))}, "14 labels"),
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
