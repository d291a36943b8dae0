from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.hrct_dicom import Header, write_ct
from grandrounds.data.patches import PatchSpec
from grandrounds.layouts import geneva
from grandrounds.layouts.copies import write_geneva
from grandrounds.prepare import default_pipeline

HEADER = Header("SIM-T", 7605, 61, "F", "SIMULATED HOSPITAL", "SHARP", 0.5, 1.0, seed=0)
SQUARE = "nb_points_on_contour: 4\n0 0\n0 15.5\n15.5 15.5\n15.5 0\n"  # 32 pixels of 0.5 mm
HEAD = "Study: 1.2\nSeries: 1.3\nSpacingX: 0.5\nSpacingY: 0.5\nSpacingZ: 10.0\n"
WHOLE = SourceOptions(patches=PatchSpec())


def region(number, label="healthy", localisation="right"):
    """Return the text of one region of 32 by 32 pixels."""
    return f"label: {label}\nlocalisation: {localisation}\nslice_number: {number}\n{SQUARE}"


def write(folder, files, text, name="CT-INSPIRIUM-7605.txt"):
    """Write sections, each as bright as its number, and the text beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, number in files.items():
        write_ct(folder / file, HEADER, np.full((32, 32), -900.0 + number), number, 10.0 * number)
    (folder / name).write_text(HEAD + text)


def levels(root):
    """Return patient, label and the section that each patch really comes from, told by its brightness."""
    draft = geneva.draft(root, WHOLE)
    found = []
    for patient, label, path in draft.rows.select("patient", "label", "path").iter_rows():
        ds = pydicom.dcmread(path)
        found.append((patient, label, int(ds.pixel_array[0, 0] + ds.RescaleIntercept + 900)))
    return found


def test_what_was_written_is_read(tmp_path):
    """Pixels, spacing, labels, patients and the corner of each patch come back."""
    dataset = open_dataset(write_geneva(tmp_path))

    rng, words = np.random.default_rng(0), list(geneva.CLASSES.values())
    for index, patient in enumerate(("8", "10")):
        hu = rng.integers(-1000, 100, (64, 64))
        for k, (left, top) in enumerate([(0, 0), (32, 0), (0, 32), (32, 32)]):
            sample = f"{patient}-CT-{7605 + index}-0004-{top:03d}-{left:03d}"
            image = dataset.load(sample)
            assert np.array_equal(image.pixels[0], hu[top : top + 32, left : left + 32])
            assert (image.unit, image.geometry.spacing_mm) == ("hu", (0.7, 0.7))
            assert dataset.labels.filter(case=sample)["label"].item() == words[(3 * index + k) % 5]
    assert set(dataset.samples["patient"]) == {"8", "10"}


@pytest.mark.parametrize("inside", [".", "ILD_DB", "ILD_DB/ILD_DB_txtROIs"])
def test_the_parent_the_database_and_its_tree_are_recognised(tmp_path, inside):
    """It does not matter which of the three folders is given."""
    write_geneva(tmp_path)

    dataset = open_dataset(tmp_path / inside)

    assert (dataset.name, dataset.samples.height) == ("geneva-ild", 8)
    assert "agreement" in dataset.licence


def test_section_two_is_not_section_ten(tmp_path):
    """Sections are found by number, unpadded as in mask names or padded, never by their place in an alphabet."""
    tree = tmp_path / geneva.TREE / "3"
    write(tree, {"CT-7605-2.dcm": 2, "CT-7605-10.dcm": 10, "CT-7605-0007.dcm": 7}, region(2) + region(10) + region(7))

    assert sorted(level for *_, level in levels(tmp_path)) == [2, 7, 10]


def test_a_mask_without_padding_belongs_to_its_padded_section():
    """Mask names do not pad the number, CT names do; a short series does not eat digits of a mask's number."""
    assert geneva.trailing_number(Path("CT-2-0025.dcm"), "2") == 25
    assert geneva.trailing_number(Path("roi_mask_2_25.dcm"), "2") == 25


def test_a_name_without_a_dash_still_tells_its_section(tmp_path):
    """Where series and section run together, the last four digits are the section."""
    write(tmp_path / geneva.TREE / "3", {"CT76050002.dcm": 2, "CT76050010.dcm": 10}, region(10))

    assert levels(tmp_path) == [("3", "normal", 10)]


def test_series_of_a_patient_have_a_folder_each(tmp_path):
    """Both series belong to the patient above them, whatever their folders are called."""
    patient = tmp_path / geneva.TREE / "57"
    write(patient / "CT-INSPIRIUM-3550", {"CT-3550-0001.dcm": 1}, region(1), "CT-INSPIRIUM-3550.txt")
    write(patient / "CT--0002", {"CT--0002-0001.dcm": 5}, region(1, "fibrosis"), "CT--0002.txt")

    assert sorted(levels(tmp_path)) == [("57", "fibrosis", 5), ("57", "normal", 1)]


def test_series_in_one_folder_do_not_mix(tmp_path):
    """Each text takes the sections of its own series."""
    patient = tmp_path / geneva.TREE / "8"
    write(patient, {"CT-8871-0001.dcm": 1}, region(1), "CT-INSPIRIUM-8871.txt")
    write(patient, {"CT-8873-0001.dcm": 5}, region(1, "fibrosis"), "CT-INSPIRIUM-8873.txt")

    assert sorted(levels(tmp_path)) == [("8", "fibrosis", 5), ("8", "normal", 1)]


def test_two_files_for_one_section_are_refused(tmp_path):
    """Where nothing tells which of two files is meant, none is taken."""
    write(
        tmp_path / geneva.TREE / "3",
        {"CT-1-0001.dcm": 1, "CT-2-0001.dcm": 5, "CT-1-0002.dcm": 2},
        region(1) + region(2),
    )

    draft = geneva.draft(tmp_path, WHOLE)

    assert draft.refused["reason"].to_list() == ["there is more than one CT file (2) for section 1"]


def test_pilot_patients_are_one_folder_deeper(tmp_path):
    """`HRCT_pilot` is no patient."""
    write(tmp_path / geneva.TREE / "HRCT_pilot" / "200", {"CT-7605-0001.dcm": 1}, region(1))

    assert levels(tmp_path) == [("200", "normal", 1)]


def test_patients_come_in_natural_order(tmp_path):
    """Patient 8 comes before patient 57 and 142."""
    for patient in ("142", "8", "57"):
        write(tmp_path / geneva.TREE / patient, {"CT-7605-0001.dcm": 1}, region(1))

    assert [patient for patient, *_ in levels(tmp_path)] == ["8", "57", "142"]


def test_odd_names_of_texts_and_shadow_files_are_no_obstacle(tmp_path):
    """Some texts start with `Tho`, archives bring files that start with a dot, and a readme is no patient."""
    tree = tmp_path / geneva.TREE
    write(tree / "3", {"CT-7605-0001.dcm": 1}, region(1), "Thorax-7605.txt")
    for shadow in ("._CT-7605-0001.dcm", "._Thorax-7605.txt"):
        (tree / "3" / shadow).write_bytes(b"\x00\x05\x16\x07")
    (tree / "readme.txt").write_text("label: none")

    assert levels(tmp_path) == [("3", "normal", 1)]
    assert geneva.draft(tmp_path, WHOLE).refused.is_empty()


def test_a_localisation_of_many_words_is_skipped(tmp_path):
    """Words, slashes and colons in a localisation do not touch the label."""
    text = region(1, "fibrosis", "left lung / lower lobe: near the label")
    write(tmp_path / geneva.TREE / "3", {"CT-7605-0001.dcm": 1}, text)

    assert levels(tmp_path) == [("3", "fibrosis", 1)]


def test_outside_the_scan_field_is_air(tmp_path):
    """-2000 as stored stays what the file says, and the window makes it the same as air."""
    root = write_geneva(tmp_path)
    path = next(root.rglob("CT-7605-0004.dcm"))
    ds = pydicom.dcmread(path)
    stored = ds.pixel_array.astype(np.int16)
    stored[0, 0], stored[0, 1] = -2000, -1000 + 1024
    ds.PixelRepresentation = 1
    ds.PixelData = stored.tobytes()
    ds.save_as(path)

    dataset = open_dataset(root)
    image = dataset.load("8-CT-7605-0004-000-000")
    prepared = default_pipeline(dataset.samples, dataset.grey_range).pipeline(image)

    assert image.pixels[0, 0, :2].tolist() == [-3024, -1000]
    assert prepared[0, 0, :2].tolist() == [0.0, 0.0]


def test_a_class_folder_beside_is_no_database(tmp_path, picture):
    """Class folders open as ever, also those that are called after tissues."""
    for label in ("fibrosis", "healthy"):
        picture(f"set/{label}/a.png")

    assert open_dataset(tmp_path / "set").task.classes == ("fibrosis", "healthy")


def test_a_cap_on_patches_is_told(tmp_path):
    """By default few patches of a patient are used, and a note says so; without a cap there is none."""
    root = write_geneva(tmp_path)
    shutil.rmtree(root / geneva.TREE / "10")

    assert any("At most 20 patches" in note for note in geneva.draft(root, SourceOptions()).notes)
    assert len(geneva.draft(root, WHOLE).notes) == 1
