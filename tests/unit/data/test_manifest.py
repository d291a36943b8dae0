from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from grandrounds.data import Draft, SourceOptions, open_dataset, opening
from grandrounds.data.fingerprint import Fingerprint, fingerprint
from grandrounds.data.fingerprint_text import lines
from grandrounds.data.manifest import _unique, scan
from grandrounds.errors import BadData


def _draft(tmp_path, rows, **facts):
    return Draft(name="own", root=tmp_path, rows=pl.DataFrame(rows), **facts)


def test_bad_images_are_listed_and_the_rest_used(tmp_path, picture):
    """An unreadable, a truncated, a wrong and a NaN image become rows with a reason."""
    for label in ("a", "b"):
        picture(f"set/{label}/1.png")
    whole = picture("set/a/truncated.png").read_bytes()
    (tmp_path / "set/a/truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "set/a/text.png").write_text("not an image")
    np.save(tmp_path / "set/b/nan.npy", np.array([[0.0, np.nan], [np.inf, 1.0]]))

    dataset = open_dataset(tmp_path / "set")

    assert dataset.samples["sample"].to_list() == ["a/1", "b/1"]
    reasons = {path.rsplit("/", 1)[1]: reason for path, reason in dataset.bad.select("path", "reason").rows()}
    assert set(reasons) == {"truncated.png", "text.png", "nan.npy"}
    assert "plain text" in reasons["text.png"]
    assert reasons["nan.npy"] == "2 of 4 pixels are not finite numbers"


def test_nothing_readable(tmp_path):
    """Where no image can be used, the first reason is the message."""
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "1.png").write_text("no")

    with pytest.raises(BadData, match="none of 2 images can be used; the first: the file seems to be plain text"):
        open_dataset(tmp_path / "set")


def test_planted_duplicates(tmp_path, picture):
    """Identical pixels are found within a label, across labels, patients and roles, whatever the file format."""
    names = [f"{index}.png" for index in range(6)]
    for name, seed in zip(names, (0, 0, 1, 1, 2, 3), strict=True):
        picture(name, seed)
    rows = {
        "sample": names,
        "path": [str(tmp_path / name) for name in names],
        "label": ["x", "x", "x", "y", "x", "y"],
        "patient": ["1", "1", "2", "3", "4", "5"],
        "role": ["train", "train", "train", "test", "train", "test"],
    }

    found = fingerprint(scan(_draft(tmp_path, rows))).duplicates

    assert (found.n_groups, found.n_surplus) == (2, 2)
    assert (found.across_labels, found.across_patients, found.across_roles) == (1, 1, 1)
    assert found.groups == (("0.png", "1.png"), ("2.png", "3.png"))


def test_boxes_of_one_file(tmp_path, picture):
    """Many boxes are cut from one reading; one outside is bad; progress counts them all."""
    path = str(picture("one.png"))
    rows = {
        "sample": ["a", "b", "c"],
        "path": [path] * 3,
        "box": [[0, 0, 3, 4], [3, 4, 6, 8], [0, 0, 99, 99]],
        "label": ["x", "y", "x"],
    }
    seen = []

    dataset = scan(_draft(tmp_path, rows), progress=lambda done, total: seen.append((done, total)))

    assert dataset.samples.select("height_px", "width_px").rows() == [(3, 4), (3, 4)]
    assert dataset.bad.height == 1
    assert seen == [(3, 3)]
    assert dataset.load("b").space == (3, 4)


def test_sample_names_become_unique(tmp_path, picture):
    """Two images of one name are told apart."""
    paths = [str(picture(name)) for name in ("a.png", "b.png")]

    dataset = scan(_draft(tmp_path, {"sample": ["one", "one"], "path": paths, "label": ["x", "y"]}))

    assert dataset.samples["sample"].to_list() == ["one", "one#2"]


def _dicom(path, patient):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.826.0.1.3680043.8.498.1"
    dataset.Modality, dataset.PatientID, dataset.PatientAge = "CT", patient, "061Y"
    dataset.PixelSpacing, dataset.RescaleSlope, dataset.RescaleIntercept = [0.7, 0.7], "1", "-1024"
    dataset.set_pixel_data(np.full((4, 5), len(path.name), np.uint16), "MONOCHROME2", 16, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def test_patients_from_dicom_headers(tmp_path):
    """Where a folder of DICOM files says nothing else, the header tells patient, age and spacing."""
    for index, label in enumerate("aabb"):
        _dicom(tmp_path / "set" / label / f"{index}.dcm", f"SIM-{index // 2}")

    dataset = open_dataset(tmp_path / "set")

    assert dataset.patient_known
    assert dataset.samples["patient"].to_list() == ["SIM-0", "SIM-0", "SIM-1", "SIM-1"]
    assert dataset.samples["age_years"].to_list() == [61.0] * 4
    assert dataset.samples["spacing_mm"].to_list() == [[0.7, 0.7]] * 4
    assert dataset.samples["modality"].unique().to_list() == ["CT"]


def test_one_name_for_everybody_is_no_patient(tmp_path):
    """Headers that all say the same name were made anonymous: patients are unknown, and a note says so."""
    for index, label in enumerate("aabb"):
        _dicom(tmp_path / "set" / label / f"{index}.dcm", "ANON")

    dataset = open_dataset(tmp_path / "set")

    assert not dataset.patient_known
    assert dataset.samples["patient"].n_unique() == 4
    assert "same patient" in dataset.notes[0]


def test_an_exam_of_several_images_is_one_patient_where_patients_are_unknown(tmp_path, picture):
    """Images of one exam show one body, whoever that is: they are never parted as if they were strangers."""
    paths = [str(picture(f"{n}.png")) for n in range(4)]
    rows = {"sample": list("wxyz"), "case": ["e1", "e1", "e2", None], "label": ["a", "a", "b", "b"], "path": paths}

    dataset = scan(_draft(tmp_path, rows))

    assert not dataset.patient_known
    assert dataset.samples["patient"].to_list() == ["e1", "e1", "e2", "z"]


def test_patients_written_in_two_ways_are_one(tmp_path, picture):
    """Padding and the two ways of writing an umlaut do not make two patients of one."""
    paths = [str(picture(f"{index}.png")) for index in range(3)]
    rows = {"sample": ["a", "b", "c"], "path": paths, "label": ["x", "y", "x"], "patient": ["Ä1", "A\u03081 ", "ä1"]}

    dataset = scan(_draft(tmp_path, rows))

    assert dataset.samples["patient"].n_unique() == 2
    said = "1 patient id is another spelling of one met before: taken for the same patient."
    assert said in fingerprint(dataset).warnings


def test_an_official_split_leaks_whichever_way_a_number_is_written(tmp_path, picture):
    """The same patient with and without leading zeros, in train and in test."""
    paths = [str(picture(f"{index}.png")) for index in range(2)]
    rows = {
        "sample": ["a", "b"],
        "path": paths,
        "label": ["x", "y"],
        "patient": ["007", "7"],
        "role": ["train", "test"],
    }

    leaks = "The official split leaks: 1 patient in two or more of its roles."
    assert leaks in fingerprint(scan(_draft(tmp_path, rows))).warnings


def test_fingerprint_is_stable_and_goes_to_json(tmp_path, picture):
    """Moving the files changes no fingerprint; it survives JSON and prints as lines."""
    for folder in ("one", "two"):
        for label in ("a", "b"):
            for index in range(3):
                picture(f"{folder}/{label}/{index}.png", seed=index + 10 * (label == "b"))

    one, two = open_dataset(tmp_path / "one"), open_dataset(tmp_path / "two")
    found = fingerprint(one)

    assert one.fingerprint == two.fingerprint
    assert Fingerprint.model_validate_json(found.model_dump_json()) == found
    assert any("patients unknown" in line for line in lines(found))


def test_a_column_that_is_the_label(tmp_path, picture):
    """A clinical column that gives every label away is warned of."""
    paths = [str(picture(f"{index}.png")) for index in range(4)]
    rows = {
        "sample": list("abcd"),
        "path": paths,
        "label": ["x", "y", "x", "y"],
        "birads": ["2", "5", "2", "5"],
        "age": ["1", "2", "3", "1"],
    }

    warnings = fingerprint(scan(_draft(tmp_path, rows))).warnings

    assert [warning for warning in warnings if "tells the label" in warning] == [
        "The column 'birads' tells the label of every image exactly: is it the label in other words?"
    ]


@pytest.mark.parametrize(("flips", "expected"), [(None, False), (True, True)])
def test_a_label_that_names_a_side_is_never_mirrored_at_random(tmp_path, picture, monkeypatch, flips, expected):
    """A source that allows mirroring is overruled by its classes, and the user overrules that."""
    for label in ("left kidney", "right kidney"):
        picture(f"set/{label}/1.png")
    drafted = opening.draft_of
    monkeypatch.setattr(opening, "draft_of", lambda *args, **more: replace(drafted(*args, **more), flips=True))
    dataset = opening.open_dataset(tmp_path / "set", SourceOptions(flips=flips))

    assert dataset.flips is expected
    assert any("names a side" in note for note in dataset.notes) == (not expected)


@given(st.lists(st.sampled_from(["a", "a#2", "a#3", "b", None]), max_size=12))
@settings(deadline=None)
def test_names_that_occur_again_are_numbered(names):
    """All differ, each begins with its own name, and where nothing repeats nothing changes."""
    unique = _unique(names)

    assert len(set(unique)) == len(names)
    assert all(one.startswith(name or "sample-") for one, name in zip(unique, names, strict=True))
    assert unique == names or None in names or len(set(names)) < len(names)


def test_one_name_for_a_hundred_thousand_images_is_numbered_at_once():
    """Each name goes on from its last number."""
    started = time.monotonic()
    unique = _unique(["a"] * 100_000)

    assert unique[-1] == "a#100000"
    assert time.monotonic() - started < 20  # minutes, where each begins at 2
