"""A DICOM export becomes series in the order in which their slices lie, wherever and under whatever names they are."""

import itertools
import shutil
import warnings
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from grandrounds import formats
from grandrounds.data.dicom_tree import holds_dicom, survey
from grandrounds.data.pacs_copy import AXIAL, CORONAL, INTERCEPT_HU, SAGITTAL, SeriesFacts, write_series, write_slice
from grandrounds.formats import Part

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
HU = np.random.default_rng(0).integers(-1000, 1000, (6, 8, 7))


def parts_of(tree, series):
    rows = tree.files.filter(tree.files["series"] == series).sort("order")
    return [Part(path, member, frame) for path, member, frame in rows.select("path", "member", "frame").iter_rows()]


def _disc(paths, folder):
    """Write a DICOMDIR with its files."""
    directory = FileSet()
    for path in paths:
        directory.add(path)
    directory.write(folder)
    directory._stage["t"].cleanup()


def faults_of(tree):
    return sorted(tree.faults["fault"])


@pytest.mark.parametrize(
    ("direction", "plane"), [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal"), (OBLIQUE, "oblique")]
)
def test_slices_come_in_the_order_in_which_they_lie(tmp_path, direction, plane):
    """Pixels, spacing and place of a volume are those that were written; names and numbers of files say otherwise."""
    facts = SeriesFacts("SIM-001", direction=direction, pixel_mm=0.5, slice_mm=2.0)
    write_series(tmp_path, facts, HU)
    tree = survey(tmp_path)

    assert tree.series.select("plane", "kind", "n_slices", "patient").row(0) == (plane, "volume", 6, "SIM-001")
    volume = formats.read_stack(parts_of(tree, facts.series_uid))
    np.testing.assert_array_equal(volume.pixels[0], HU)
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.5, 0.5))
    np.testing.assert_allclose(volume.geometry.direction[6:], np.cross(direction[:3], direction[3:]), atol=1e-6)
    assert tree.faults.is_empty()
    assert tree.counts == {"found": 6, "used": 6, "set aside": 0, "refused": 0}


def test_names_of_files_never_decide(tmp_path):
    """Whatever the files are called, the volume is the same."""
    facts = SeriesFacts("SIM-001")
    for index, order in enumerate(itertools.permutations(range(4))):
        folder = tmp_path / str(index)
        for at, name in enumerate(order):
            write_slice(folder / f"{name}.dcm", facts, HU[at], at, (0, 0, 5.0 * at))
        volume = formats.read_stack(parts_of(survey(folder), facts.series_uid))
        np.testing.assert_array_equal(volume.pixels[0], HU[:4])


def test_a_zip_and_a_dicomdir_hold_the_same_series_as_the_folder(tmp_path):
    """The way in does not matter."""
    facts = SeriesFacts("SIM-001", extra={"StudyDate": "20000101", "StudyTime": "120000", "StudyID": "1"})
    paths = write_series(tmp_path / "folder", facts, HU)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in paths:
            archive.write(path, f"a/b/{path.name}")
    _disc(paths, tmp_path / "disc")
    trees = [survey(tmp_path / name) for name in ("folder", "all.zip", "disc/DICOMDIR")]

    for tree in trees:
        assert tree.series.equals(trees[0].series)
        assert tree.counts == trees[0].counts
        np.testing.assert_array_equal(formats.read_stack(parts_of(tree, facts.series_uid)).pixels[0], HU)


def test_a_dicomdir_that_names_missing_or_foreign_files(tmp_path):
    """A missing file is a fault; a name that leads out of the folder is never followed."""
    facts = SeriesFacts("SIM-001", extra={"StudyDate": "20000101", "StudyTime": "120000", "StudyID": "1"})
    paths = write_series(tmp_path / "folder", facts, HU)
    _disc(paths, tmp_path / "disc")
    index = pydicom.dcmread(tmp_path / "disc/DICOMDIR")
    images = [one for one in index.DirectoryRecordSequence if one.DirectoryRecordType == "IMAGE"]
    (tmp_path / "disc").joinpath(*images[0].ReferencedFileID).unlink()
    shutil.copy(paths[1], tmp_path / "OUTSIDE")
    with warnings.catch_warnings(action="ignore"):
        images[1].ReferencedFileID = ["..", "OUTSIDE"]
        index.save_as(tmp_path / "disc/DICOMDIR")
    tree = survey(tmp_path / "disc/DICOMDIR")

    assert faults_of(tree) == ["missing", "missing"]
    assert tree.counts == {"found": 6, "used": 4, "set aside": 0, "refused": 2}


@pytest.mark.parametrize(
    ("sop_class", "modality", "fault"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "SEG", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", "dose"),
        ("1.2.840.10008.5.1.4.1.1.30", "MR", "parametric map"),
        (None, "SEG", "segmentation"),
        (None, "RTDOSE", "dose"),
    ],
)
def test_what_has_pixels_and_is_no_image_is_set_aside(tmp_path, sop_class, modality, fault):
    """Masks, doses and maps are as large as the images they belong to, and count once each, however many frames."""
    facts = SeriesFacts("SIM-001")
    write_series(tmp_path, facts, HU)
    for at in range(2):
        path = tmp_path / f"drawn{at}"
        write_slice(path, SeriesFacts("SIM-001", number=2), HU[0], at, (0, 0, 5.0 * at))
        one = pydicom.dcmread(path)
        one.Modality, one.NumberOfFrames, one.PixelData = modality, 3, 3 * one.PixelData
        if sop_class is None:
            del one.SOPClassUID
        else:
            one.SOPClassUID = sop_class
        one.save_as(path)
    tree = survey(tmp_path)

    assert tree.series["series"].to_list() == [facts.series_uid]
    assert faults_of(tree) == [fault, fault]
    assert tree.counts == {"found": 8, "used": 6, "set aside": 2, "refused": 0}


def test_an_export_of_segmentations_alone_holds_no_images(tmp_path):
    """Nothing in it could be classified."""
    write_slice(tmp_path / "mask", SeriesFacts("SIM-001", extra={"Modality": "SEG"}), HU[0], 0, (0, 0, 0))
    one = pydicom.dcmread(tmp_path / "mask")
    one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    one.save_as(tmp_path / "mask")

    assert not holds_dicom(tmp_path)
    assert survey(tmp_path).series.is_empty()


def test_a_series_that_mixes_volumes_is_parted(tmp_path):
    """Echoes, sizes and directions of one UID become series of their own; a few slices across are set aside."""
    for echo in (1, 2):
        facts = SeriesFacts("SIM-001", extra={"EchoNumbers": echo})
        for at in range(4):
            write_slice(tmp_path / f"e{echo}-{at}", facts, HU[at], 10 * echo + at, (0, 0, 5.0 * at))
    facts = SeriesFacts("SIM-002", 2)
    write_series(tmp_path, facts, HU)
    crossing = SeriesFacts("SIM-002", 2, direction=SAGITTAL)
    write_slice(tmp_path / "across", crossing, HU[0], 99, (0, 0, 0))
    tree = survey(tmp_path)

    assert sorted(tree.series["n_slices"]) == [4, 4, 6]
    assert tree.series.filter(tree.series["series"].str.ends_with("#2")).height == 1
    assert faults_of(tree) == ["off axis"]
    assert tree.counts == {"found": 15, "used": 14, "set aside": 1, "refused": 0}


def test_spacings_and_directions_that_a_series_mixes_are_parted(tmp_path):
    """Pixels of two sizes, or as many slices of one direction as of another, are two volumes each."""
    for at in range(6):
        fine = SeriesFacts("SIM-001", pixel_mm=0.5 if at < 3 else 0.8)
        write_slice(tmp_path / f"s{at}", fine, HU[at], at, (0, 0, 5.0 * at))
        turned = SeriesFacts("SIM-002", 2, direction=AXIAL if at < 3 else CORONAL)
        write_slice(tmp_path / f"d{at}", turned, HU[at], at, (0, 0, 5.0 * at) if at < 3 else (0, 5.0 * at, 0))
    tree = survey(tmp_path)

    assert sorted(tree.series.select("patient", "plane", "n_slices").rows()) == [
        ("SIM-001", "axial", 3), ("SIM-001", "axial", 3), ("SIM-002", "axial", 3), ("SIM-002", "coronal", 3),
    ]  # fmt: skip
    assert tree.faults.is_empty()


def test_slices_that_lie_unevenly_are_said(tmp_path):
    """Distances that differ by more than a tenth are a fault of the series; its slices are used all the same."""
    for at, place in enumerate((0, 5, 10.9, 15, 20)):
        write_slice(tmp_path / f"{at}", SeriesFacts("SIM-001"), HU[at], at, (0, 0, place))
    tree = survey(tmp_path)

    assert tree.faults.select("fault", "reason").rows() == [("uneven spacing", "slices lie 4.1 to 5.9 mm apart")]
    assert tree.counts["used"] == 5


@pytest.mark.parametrize(("agent", "is_given"), [("Iohexol", True), ("NONE", False), ("No", False), ("", False)])
def test_a_header_may_say_in_words_that_no_contrast_medium_was_given(tmp_path, agent, is_given):
    """Some machines write `NONE` where the standard wants nothing."""
    write_series(tmp_path, SeriesFacts("SIM-001", extra={"ContrastBolusAgent": agent}), HU)

    assert survey(tmp_path).series["contrast"].to_list() == [is_given]


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "TemporalPositionIdentifier", "DiffusionBValue"])
def test_acquisitions_at_the_same_positions_are_parted(tmp_path, keyword):
    """Two passes over the same slices are two volumes, not duplicates."""
    for scan in (1, 2):
        facts = SeriesFacts("SIM-001", extra={keyword: scan})
        for at in range(4):
            write_slice(tmp_path / f"{scan}-{at}", facts, HU[at] + scan, 10 * scan + at, (0, 0, 5.0 * at))
    tree = survey(tmp_path)

    assert tree.series["n_slices"].to_list() == [4, 4]
    assert tree.faults.is_empty()


def _groups(**sequences):
    """Return functional groups: sequences of one item each, as keyword and elements."""
    found = Dataset()
    for sequence, elements in sequences.items():
        item = Dataset()
        for keyword, value in elements.items():
            setattr(item, keyword, value)
        setattr(found, sequence, [item])
    return found


def _enhanced(path, hu, places, told=lambda _: {}, **elements):
    """Turn one slice into an enhanced CT whose frames are stored in any order, geometry in functional groups.

    Args:
        path: The file.
        hu: Its frames as they are stored.
        places: The place of each among the slices.
        told: Further functional groups of a frame by its number.
        **elements: Further elements of the file.
    """
    facts = SeriesFacts("SIM-001")
    write_slice(path, facts, HU[0], 0, (0, 0, 0))
    one = pydicom.dcmread(path)
    for keyword in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
        "SliceThickness", "ConvolutionKernel",
    ):  # fmt: skip
        delattr(one, keyword)
    one.NumberOfFrames = len(hu)
    one.SharedFunctionalGroupsSequence = [
        _groups(
            PixelMeasuresSequence={"PixelSpacing": [0.5, 0.5], "SliceThickness": 2.0},
            PlaneOrientationSequence={"ImageOrientationPatient": list(AXIAL)},
            CTReconstructionSequence={"ConvolutionKernel": "B70f"},
            PixelValueTransformationSequence={"RescaleSlope": 1, "RescaleIntercept": INTERCEPT_HU, "RescaleType": "HU"},
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        _groups(PlanePositionSequence={"ImagePositionPatient": [0, 0, 2.5 * place]}, **told(at))
        for at, place in enumerate(places)
    ]
    for keyword, value in elements.items():
        setattr(one, keyword, value)
    one.PixelData = (hu - INTERCEPT_HU).astype("<u2").tobytes()
    one.save_as(path)


def test_an_enhanced_file_is_a_volume_of_frames(tmp_path):
    """Frames of one file are ordered by their own positions, and the file read alone says the same."""
    order = [2, 0, 3, 1, 5, 4]
    _enhanced(tmp_path / "one.dcm", HU[order], order)
    tree = survey(tmp_path)
    row = tree.series.row(0, named=True)
    volume = formats.read_stack(parts_of(tree, row["series"]))

    assert (row["n_slices"], row["kind"], row["plane"]) == (6, "volume", "axial")
    np.testing.assert_array_equal(volume.pixels[0], HU)
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.5, 0.5))
    assert tree.counts == {"found": 1, "used": 1, "set aside": 0, "refused": 0}
    alone = formats.read(tmp_path / "one.dcm")
    np.testing.assert_array_equal(alone.pixels, volume.pixels)
    assert alone.geometry == volume.geometry


@pytest.mark.parametrize(
    "told",
    [
        lambda at: {"MREchoSequence": {"EffectiveEchoTime": 10.0 + 20 * (at % 2)}},
        lambda at: {"FrameContentSequence": {"TemporalPositionIndex": 1 + at % 2}},
        lambda at: {"FrameContentSequence": {"StackID": "ab"[at % 2]}},
        lambda at: {"MRDiffusionSequence": {"DiffusionBValue": 1000.0 * (at % 2)}},
    ],
    ids=["echoes", "times", "stacks", "diffusion"],
)
def test_an_enhanced_file_that_mixes_volumes_is_parted(tmp_path, told):
    """Frames at the same places that differ in echo, time, stack or diffusion are volumes of their own."""
    order = [3, 3, 0, 0, 2, 2, 1, 1]  # two frames at each place
    stored = np.stack([HU[place % 3] + place + 7 * (at % 2) for at, place in enumerate(order)])
    _enhanced(tmp_path / "one.dcm", stored, order, told)
    tree = survey(tmp_path)

    assert tree.series["n_slices"].to_list() == [4, 4]
    assert tree.faults.is_empty()
    found = [formats.read_stack(parts_of(tree, series)).pixels[0] for series in tree.series["series"]]
    lying = np.argsort(order[::2])
    np.testing.assert_array_equal(found, [stored[::2][lying], stored[1::2][lying]])


def test_an_enhanced_file_tells_what_series_are_chosen_by(tmp_path):
    """Thickness and kernel stand in functional groups, the contrast medium in a sequence of codes."""
    agent = Dataset()
    agent.CodeMeaning = "Iodinated contrast agent"
    _enhanced(tmp_path / "one.dcm", HU, range(6), ContrastBolusAgentSequence=[agent])

    told = survey(tmp_path).series.select("thickness_mm", "kernel", "contrast").row(0)
    assert told == (2.0, "B70f", True)


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    """A symbolic link that leads elsewhere does not bring strangers in."""
    paths = write_series(tmp_path / "outside", SeriesFacts("SIM-001"), HU)
    write_series(tmp_path / "inside", SeriesFacts("SIM-002", 2), HU)
    (tmp_path / "inside/link").symlink_to(paths[0])

    assert survey(tmp_path / "inside").counts["found"] == 6


def test_a_link_that_leads_nowhere_is_a_missing_file(tmp_path):
    """What git-annex has not fetched is told; what lies in its hidden folder does not count."""
    write_series(tmp_path / "set", SeriesFacts("SIM-001"), HU)
    write_series(tmp_path / "set/.git/annex", SeriesFacts("SIM-002", 2), HU)
    (tmp_path / "set/lost.dcm").symlink_to(".git/annex/none")

    tree = survey(tmp_path / "set")

    assert (tree.counts["found"], tree.counts["used"], tree.counts["refused"]) == (7, 6, 1)
    assert tree.faults["reason"].to_list() == ["the link leads nowhere"]


def test_nothing_of_a_header_is_said_in_a_reason_or_a_warning(tmp_path, recwarn, caplog):
    """Faults tell what is wrong without quoting a value."""
    bad = SeriesFacts("SIM-SECRET", extra={"StudyDate": "not a date SECRET"})
    paths = write_series(tmp_path, bad, HU)
    content = bytearray(paths[0].read_bytes())
    content[400:440] = bytes(40)
    paths[0].write_bytes(bytes(content))
    recwarn.clear()  # pydicom has warned of what was written
    tree = survey(tmp_path)

    said = " ".join(tree.faults["reason"].to_list()) + " ".join(str(one.message) for one in recwarn.list) + caplog.text
    assert "SECRET" not in said


def test_a_real_enhanced_ct_tells_its_place_in_functional_groups(tmp_path):
    """A file of pydicom's test set: two frames, place in the groups of each, the rest in the shared one."""
    path = pydicom.data.get_testdata_file("eCT_Supplemental.dcm", download=False)
    shutil.copy(path, tmp_path)
    tree, header = survey(tmp_path), pydicom.dcmread(path)
    row = tree.series.row(0, named=True)
    volume = formats.read_stack(parts_of(tree, row["series"]))
    frames = header.PerFrameFunctionalGroupsSequence
    places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    rescale = header.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]

    assert (row["plane"], row["kind"], row["n_slices"]) == ("axial", "volume", 2)
    assert volume.unit == "hu"
    assert volume.geometry.spacing_mm == pytest.approx((abs(places[1][2] - places[0][2]), 0.388672, 0.388672))
    lowest = min(range(2), key=lambda at: np.dot(places[at], volume.geometry.direction[6:]))
    stored = header.pixel_array[lowest].astype(np.float32)
    np.testing.assert_allclose(
        volume.pixels[0, 0], stored * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
    )
