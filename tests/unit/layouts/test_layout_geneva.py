from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSNearLossless

from grandrounds.data import SourceOptions, open_dataset
from grandrounds.data.hrct_dicom import Header, write_ct, write_mask
from grandrounds.data.patches import PatchSpec
from grandrounds.errors import BadData
from grandrounds.layouts import geneva, geneva_rois
from grandrounds.layouts.copies_geneva import write_geneva
from grandrounds.layouts.geneva_files import trailing_number
from grandrounds.prepare import default_pipeline

HEADER = Header("SIM-T", 7605, 61, "F", "SIMULATED HOSPITAL", "SHARP", 0.5, 1.0, seed=0)
SQUARE = "nb_points_on_contour: 4\n0 0\n0 15.5\n15.5 15.5\n15.5 0\n"  # 32 pixels of 0.5 mm
HEAD = "Study: 1.2\nSeries: 1.3\nSpacingX: 0.5\nSpacingY: 0.5\nSpacingZ: 10.0\n"
TREE = "ILD_DB_txtROIs"
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


PATCHES = {
    "8-CT-8871-0002-000-000": "normal",
    "8-CT-8871-0002-000-032": "emphysema",
    "8-CT-8871-0002-032-032": "fibrosis",
    "8-CT-8871-0010-000-000": "micronodules",
    "8-CT88730004-000-000": "normal",
    "8-CT88730004-032-032": "ground_glass",
    "10-CT-7605-0004-000-000": "ground_glass",
    "10-CT-7605-0004-000-064": "micronodules",
    "200-CT-200-0001-000-000": "fibrosis",
    "200-CT-200-0001-000-032": "emphysema",
    "200-CT-200-0001-032-000": "normal",
}


@pytest.mark.parametrize("tree", [".", "ILD_DB_txtROIs", "ILD_DB_volumeROIs"])
def test_contours_and_masks_tell_the_same_patches(tmp_path, tree):
    """Patient, section and corner of each patch with its tissue, from the texts as from the masks."""
    dataset = open_dataset(write_geneva(tmp_path) / tree)

    assert dict(dataset.labels.select("case", "label").iter_rows()) == PATCHES
    assert set(dataset.samples["patient"]) == {"8", "10", "200"}
    assert dataset.bad.is_empty()


@pytest.mark.parametrize("inside", [".", "ILD_DB", "ILD_DB/ILD_DB_txtROIs"])
def test_the_parent_the_database_and_its_tree_are_recognised(tmp_path, inside):
    """It does not matter which of the three folders is given."""
    write_geneva(tmp_path)

    dataset = open_dataset(tmp_path / inside)

    assert (dataset.name, dataset.samples.height) == ("geneva-ild", 11)
    assert "agreement" in dataset.licence


def test_section_two_is_not_section_ten(tmp_path):
    """Sections are found by number, unpadded as in mask names or padded, never by their place in an alphabet."""
    tree = tmp_path / TREE / "3"
    write(tree, {"CT-7605-2.dcm": 2, "CT-7605-10.dcm": 10, "CT-7605-0007.dcm": 7}, region(2) + region(10) + region(7))

    assert sorted(level for *_, level in levels(tmp_path)) == [2, 7, 10]


def test_a_mask_without_padding_belongs_to_its_padded_section():
    """Mask names do not pad the number, CT names do; a short series does not eat digits of a mask's number."""
    assert trailing_number(Path("CT-2-0025.dcm"), "2") == 25
    assert trailing_number(Path("roi_mask_2_25.dcm"), "2") == 25


def test_a_name_without_a_dash_still_tells_its_section(tmp_path):
    """Where series and section run together, the last four digits are the section."""
    write(tmp_path / TREE / "3", {"CT76050002.dcm": 2, "CT76050010.dcm": 10}, region(10))

    assert levels(tmp_path) == [("3", "normal", 10)]


def test_series_of_a_patient_have_a_folder_each(tmp_path):
    """Both series belong to the patient above them, whatever their folders are called."""
    patient = tmp_path / TREE / "57"
    write(patient / "CT-INSPIRIUM-3550", {"CT-3550-0001.dcm": 1}, region(1), "CT-INSPIRIUM-3550.txt")
    write(patient / "CT--0002", {"CT--0002-0001.dcm": 5}, region(1, "fibrosis"), "CT--0002.txt")

    assert sorted(levels(tmp_path)) == [("57", "fibrosis", 5), ("57", "normal", 1)]


def test_series_in_one_folder_do_not_mix(tmp_path):
    """Each text takes the sections of its own series."""
    patient = tmp_path / TREE / "8"
    write(patient, {"CT-8871-0001.dcm": 1}, region(1), "CT-INSPIRIUM-8871.txt")
    write(patient, {"CT-8873-0001.dcm": 5}, region(1, "fibrosis"), "CT-INSPIRIUM-8873.txt")

    assert sorted(levels(tmp_path)) == [("8", "fibrosis", 5), ("8", "normal", 1)]


def test_two_files_for_one_section_are_refused(tmp_path):
    """Where nothing tells which of two files is meant, none is taken."""
    write(
        tmp_path / TREE / "3",
        {"CT-1-0001.dcm": 1, "CT-2-0001.dcm": 5, "CT-1-0002.dcm": 2},
        region(1) + region(2),
    )

    draft = geneva.draft(tmp_path, WHOLE)

    assert draft.refused["reason"].to_list() == ["there is more than one CT file (2) for section 1"]


def test_pilot_patients_are_one_folder_deeper(tmp_path):
    """`HRCT_pilot` is no patient."""
    write(tmp_path / TREE / "HRCT_pilot" / "200", {"CT-7605-0001.dcm": 1}, region(1))

    assert levels(tmp_path) == [("200", "normal", 1)]


def test_patients_come_in_natural_order(tmp_path):
    """Patient 8 comes before patient 57 and 142."""
    for patient in ("142", "8", "57"):
        write(tmp_path / TREE / patient, {"CT-7605-0001.dcm": 1}, region(1))

    assert [patient for patient, *_ in levels(tmp_path)] == ["8", "57", "142"]


def test_odd_names_of_texts_and_shadow_files_are_no_obstacle(tmp_path):
    """Some texts start with `Tho`, archives bring files that start with a dot, and a readme is no patient."""
    tree = tmp_path / TREE
    write(tree / "3", {"CT-7605-0001.dcm": 1}, region(1), "Thorax-7605.txt")
    for shadow in ("._CT-7605-0001.dcm", "._Thorax-7605.txt"):
        (tree / "3" / shadow).write_bytes(b"\x00\x05\x16\x07")
    (tree / "readme.txt").write_text("label: none")

    assert levels(tmp_path) == [("3", "normal", 1)]
    assert geneva.draft(tmp_path, WHOLE).refused.is_empty()


def test_a_localisation_of_many_words_is_skipped(tmp_path):
    """Words, slashes and colons in a localisation do not touch the label."""
    text = region(1, "fibrosis", "left lung / lower lobe: near the label")
    write(tmp_path / TREE / "3", {"CT-7605-0001.dcm": 1}, text)

    assert levels(tmp_path) == [("3", "fibrosis", 1)]


def test_outside_the_scan_field_is_air(tmp_path):
    """-2000 as stored stays what the file says, and the window makes it the same as air."""
    root = write_geneva(tmp_path)
    assert pydicom.dcmread(next(root.rglob("CT-7605-0004.dcm"))).pixel_array[0, :3].tolist() == [-2000, -2000, -2000]

    dataset = open_dataset(root)
    image = dataset.load("10-CT-7605-0004-000-000")
    prepared = default_pipeline(dataset.samples, dataset.grey_range).pipeline(image)

    assert image.pixels[0, 0, :3].tolist() == [-3024, -3024, -3024]
    assert image.pixels[0, 0, 3] >= -1000
    assert prepared[0, 0, :3].tolist() == [0.0, 0.0, 0.0]


def test_a_class_folder_beside_is_no_database(tmp_path, picture):
    """Class folders open as ever, also those that are called after tissues."""
    for label in ("fibrosis", "healthy"):
        picture(f"set/{label}/a.png")

    assert open_dataset(tmp_path / "set").task.classes == ("fibrosis", "healthy")


def test_a_cap_on_patches_is_told(tmp_path):
    """By default few patches of a patient are used, and a note says so; without a cap there is none."""
    root = write_geneva(tmp_path)
    shutil.rmtree(root / TREE / "HRCT_pilot")

    assert any("At most 20 patches" in note for note in geneva.draft(root, SourceOptions()).notes)
    assert len(geneva.draft(root, WHOLE).notes) == 1


def test_lines_end_as_on_windows(tmp_path):
    """A carriage return is no part of a label or a number."""
    write(tmp_path / TREE / "3", {"CT-7605-0001.dcm": 1}, region(1, "fibrosis"))
    text = next(tmp_path.rglob("*.txt"))
    text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))

    assert levels(tmp_path) == [("3", "fibrosis", 1)]


@pytest.mark.parametrize("word", ["ground_glass", "Ground glass", "GROUND-GLASS", " ground  glass "])
def test_a_tissue_may_be_spelt_differently(tmp_path, word):
    """Case, blanks and dashes do not make another tissue."""
    write(tmp_path / TREE / "3", {"CT-7605-0001.dcm": 1}, region(1, word))

    assert levels(tmp_path) == [("3", "ground_glass", 1)]


def test_a_localiser_is_no_section(tmp_path):
    """A scout view whose name ends in the number of a section is passed over, where only the header can tell."""
    root = write_geneva(tmp_path)
    names = {path.name for path in (root / TREE / "10").iterdir()}

    draft = geneva.draft(root, WHOLE)

    assert names == {"CT-7604-0004.dcm", "CT-7605-0004.dcm", "Thorax.txt", "._CT-7605-0004.dcm"}
    assert {Path(path).name for path in draft.rows.filter(patient="10")["path"]} == {"CT-7605-0004.dcm"}


def test_a_contour_may_leave_the_image(tmp_path):
    """Points left of the first column and right of the last one count as far as the image goes."""
    text = "label: healthy\nslice_number: 1\nnb_points_on_contour: 4\n-20 0\n-20 15.5\n90 15.5\n90 0\n"
    write(tmp_path / TREE / "3", {"CT-7605-0001.dcm": 1}, text)

    assert geneva.draft(tmp_path, WHOLE).rows["box"].to_list() == [[0, 0, 32, 32]]


def test_a_section_may_be_wider_than_the_others(tmp_path):
    """The place of a patch is right in an image that is not as wide as it is high."""
    dataset = open_dataset(write_geneva(tmp_path))

    corner = dataset.files.filter(sample="10-CT-7605-0004-000-064")["box"].item().to_list()

    assert corner == [0, 64, 32, 96]


def volume(root, codes, number=4, series="7605", name=None):
    """Write a section of water and its mask into the tree of volumes, and return the folder of the patient."""
    patient = root / "ILD_DB_volumeROIs" / "3"
    (patient / "roi_mask").mkdir(parents=True, exist_ok=True)
    shape = (codes.shape[0], codes.shape[1])
    write_ct(patient / f"CT-{series}-{number:04d}.dcm", HEADER, np.zeros(shape), number, 10.0 * number)
    write_mask(patient / "roi_mask" / (name or f"roi_mask_{series}_{number}.dcm"), HEADER, codes, number, "mask")
    return patient


def test_codes_of_a_mask(tmp_path):
    """1 healthy, 2 emphysema, 3 ground glass, 4 fibrosis, 5 micronodules; 6 to 17 are other tissues, 0 is none."""
    codes = np.repeat(np.repeat(np.arange(18, dtype=np.uint8).reshape(3, 6), 32, axis=0), 32, axis=1)  # (96, 192)
    volume(tmp_path, codes)

    rows = geneva.draft(tmp_path, WHOLE).rows

    assert {tuple(box): label for box, label in rows.select("box", "label").iter_rows()} == {
        (0, 32, 32, 64): "normal",
        (0, 64, 32, 96): "emphysema",
        (0, 96, 32, 128): "ground_glass",
        (0, 128, 32, 160): "fibrosis",
        (0, 160, 32, 192): "micronodules",
    }


def test_regions_of_a_mask_do_not_add_up(tmp_path):
    """A patch lies in one region by three quarters; two apart that hold a half and a third are no region."""
    codes = np.ones((32, 32), np.uint8)
    codes[16:20] = 0

    volume(tmp_path, codes)

    with pytest.raises(BadData, match="no region of interest holds a patch"):
        geneva.draft(tmp_path, WHOLE)


def test_a_mask_and_a_section_without_each_other_say_nothing(tmp_path):
    """Sections 4 and 12 have both; 5 has no mask, 6 no CT file. The mask's number is not padded, that of the CT is."""
    whole = np.ones((32, 32), np.uint8)
    patient = volume(tmp_path, whole)
    volume(tmp_path, whole, number=12)
    volume(tmp_path, whole, number=5, name="roi_mask_7605_6.dcm")

    draft = geneva.draft(tmp_path, WHOLE)

    assert sorted(path.name for path in (patient / "roi_mask").iterdir()) == [
        "roi_mask_7605_12.dcm", "roi_mask_7605_4.dcm", "roi_mask_7605_6.dcm",
    ]  # fmt: skip
    assert [Path(path).name for path in draft.rows["path"]] == ["CT-7605-0004.dcm", "CT-7605-0012.dcm"]
    assert draft.refused.is_empty()


def test_a_mask_of_another_size_is_refused(tmp_path):
    """A mask that does not fit its section is listed with its reason."""
    volume(tmp_path, np.ones((32, 32), np.uint8))
    patient = volume(tmp_path, np.ones((32, 32), np.uint8), number=5)
    write_mask(patient / "roi_mask" / "roi_mask_7605_5.dcm", HEADER, np.ones((30, 32), np.uint8), 5, "mask")

    assert geneva.draft(tmp_path, WHOLE).refused["reason"].to_list() == ["the mask has another size than its section"]


def test_the_rescale_of_a_ct_does_not_apply_to_codes(tmp_path):
    """A mask whose header was copied from its CT file keeps its codes."""
    patient = volume(tmp_path, np.full((32, 32), 4, np.uint8))
    path = next((patient / "roi_mask").iterdir())
    ds = pydicom.dcmread(path)
    ds.RescaleIntercept, ds.RescaleSlope = -1024, 1
    ds.save_as(path)

    assert geneva.draft(tmp_path, WHOLE).rows["label"].to_list() == ["fibrosis"]


@pytest.mark.parametrize("is_said", [False, True], ids=["by the way it is packed", "by its header"])
def test_a_mask_that_was_compressed_with_loss_is_refused(tmp_path, is_said):
    """Along its borders it has codes of tissues that nobody saw there."""
    patient = volume(tmp_path, np.full((32, 32), 4, np.uint8))
    path = next((patient / "roi_mask").iterdir())
    ds = pydicom.dcmread(path)
    if is_said:
        ds.LossyImageCompression = "01"
    else:
        ds.compress(JPEGLSNearLossless, jls_error=3)
    ds.save_as(path)

    with pytest.raises(BadData, match="compressed with loss"):
        geneva_rois.read_mask(path, (32, 32))
    with pytest.raises(BadData, match="no region"):
        geneva.draft(tmp_path, WHOLE)


def test_masks_find_their_sections_in_the_other_tree(tmp_path):
    """The CT files are the same in all trees, so that a tree of masks alone is enough."""
    root = write_geneva(tmp_path)
    for path in (root / "ILD_DB_volumeROIs").rglob("CT*.dcm"):
        path.unlink()

    dataset = open_dataset(root / "ILD_DB_volumeROIs")

    assert dict(dataset.labels.select("case", "label").iter_rows()) == PATCHES


def test_patches_can_be_asked_to_lie_in_the_lung(tmp_path):
    """The lung of the copy ends at row 48: patches from row 32 on lie in it by half."""
    root = write_geneva(tmp_path)
    asked = SourceOptions(patches=PatchSpec(lung_fraction=0.75))

    found = geneva.draft(root, asked)
    half = geneva.draft(root, SourceOptions(patches=PatchSpec(lung_fraction=0.5)))

    assert set(found.rows["sample"]) == {name for name in PATCHES if "-000-0" in name}
    assert half.rows.height == len(PATCHES)
    assert "Patches lie in the database's lung masks by 75 % at least." in found.notes
    assert not any("lung masks" in note for note in geneva.draft(root, WHOLE).notes)


def test_a_section_without_its_lung_mask_is_listed(tmp_path):
    """Whether its patches lie in the lung cannot be told; a database without the tree is refused."""
    root = write_geneva(tmp_path)
    asked = SourceOptions(patches=PatchSpec(lung_fraction=0.75))
    next((root / "ILD_DB_lungMasks").rglob("lung_mask_7605_4.dcm")).unlink()

    assert geneva.draft(root, asked).refused["reason"].to_list() == ["there is no lung mask for section 4"]
    shutil.rmtree(root / "ILD_DB_lungMasks")
    with pytest.raises(BadData, match="ILD_DB_lungMasks"):
        geneva.draft(root, asked)
