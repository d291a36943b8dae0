from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from grandrounds.data.hrct_dicom import Header, write_ct
from grandrounds.data.patches import PatchSpec
from grandrounds.errors import BadData
from grandrounds.layouts import geneva
from grandrounds.layouts.geneva_rois import parse

HEADER = Header("SIM-T", 7605, 61, "F", "SIMULATED HOSPITAL A", "SHARP", 0.5, 1.0, seed=0)
SQUARE = "nb_points_on_contour: 4\n{0} {0}\n{0} {1}\n{1} {1}\n{1} {0}\n"
HEAD = "Study: 1.2\nSeries: 1.3\nSpacingX: 0.5\nSpacingY: 0.5\nSpacingZ: 10.0\n"
SMALL = PatchSpec(size_px=8, stride_px=4, fraction=0.75)


def folder(root, text, numbers=(1, 2, 10), inner=()):
    """Return a database of one patient whose sections are 40 by 40 pixels of water."""
    place = root.joinpath("ILD_DB", "ILD_DB_txtROIs", "12", *inner)
    place.mkdir(parents=True)
    for number in numbers:
        write_ct(place / f"CT-7605-{number:04d}.dcm", HEADER, np.zeros((40, 40)), number, 10.0 * number)
    (place / "CT-INSPIRIUM-7605.txt").write_text(text)
    return root


def test_points_are_millimetres_and_state_is_sticky():
    """A contour is divided by the spacing, and inherits the last label and section above it."""
    text = HEAD + "label: fibrosis\nslice_number: 3\n" + SQUARE.format(1, 5) + SQUARE.format(6, 8)
    text += "slice_number: 4\n" + SQUARE.format(1, 2) + "label: healthy\n" + SQUARE.format(2, 3)

    rois = parse(text)

    assert [(r.label, r.number) for r in rois] == [("fibrosis", 3), ("fibrosis", 3), ("fibrosis", 4), ("healthy", 4)]
    assert rois[0].points.tolist() == [[2, 2], [2, 10], [10, 10], [10, 2]]


def test_x_and_y_have_their_own_spacing():
    """The first number of a point goes with SpacingX."""
    text = HEAD.replace("SpacingY: 0.5", "SpacingY: 2.0") + "label: healthy\nslice_number: 1\n"

    assert parse(text + "nb_points_on_contour: 1\n4 4\n")[0].points.tolist() == [[8.0, 2.0]]


def test_localisation_of_several_words_is_no_obstacle():
    """A localisation may hold words and slashes."""
    text = HEAD + "label: healthy\nlocalisation: right lung / lower lobe\nslice_number: 1\n" + SQUARE.format(1, 5)

    assert len(parse(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "label: healthy\nslice_number: one\n",
        HEAD + "label: healthy\nslice_number: 1\nnb_points_on_contour: 4\n1 1\n2 2\n",
        HEAD + "label: healthy\nslice_number: 1\nnb_points_on_contour: 1\n1 1 1\n",
        HEAD + "slice_number: 1\n" + SQUARE.format(1, 5),
        "label: healthy\nslice_number: 1\n" + SQUARE.format(1, 5),
    ],
    ids=["word for a number", "cut off", "three coordinates", "no label", "no spacing"],
)
def test_a_broken_text_is_refused_with_its_line(text):
    """A line that cannot be understood is named."""
    with pytest.raises(BadData, match="line"):
        parse(text, where="roi.txt")


def test_sections_are_matched_by_the_number_that_ends_the_name(tmp_path):
    """Section 10 is the file -0010, not the tenth file of three."""
    text = HEAD + "label: healthy\nslice_number: 10\n" + SQUARE.format(2, 17)

    draft = geneva.read(folder(tmp_path, text), SMALL)

    assert {"CT-7605-0010.dcm"} == {Path(path).name for path in draft.rows["path"]}
    assert {"12"} == set(draft.rows["patient"])
    assert {("SIMULATED HOSPITAL A", "SHARP", 61.0, "F")} == set(
        draft.rows.select("site", "kernel", "age_years", "sex").rows()
    )


def test_a_folder_of_a_series_belongs_to_the_patient_above(tmp_path):
    """Where a patient has several series the patient's folder gives the name."""
    text = HEAD + "label: emphysema\nslice_number: 1\n" + SQUARE.format(2, 17)

    draft = geneva.read(folder(tmp_path, text, inner=("CT-INSPIRIUM-8871",)), SMALL)

    assert ({"12"}, {"emphysema"}) == (set(draft.rows["patient"]), set(draft.rows["label"]))


def test_patches_lie_in_one_region(tmp_path):
    """Two regions side by side do not add up to a patch, and tissues outside the five classes are left out."""
    text = HEAD + "label: healthy\nslice_number: 1\n"
    text += "nb_points_on_contour: 4\n0 0\n9.5 0\n9.5 19.5\n0 19.5\n"  # columns 0 … 19
    text += "label: fibrosis\nnb_points_on_contour: 4\n10 0\n19.5 0\n19.5 19.5\n10 19.5\n"  # columns 20 … 39
    text += "label: consolidation\nslice_number: 2\n" + SQUARE.format(2, 17)

    rows = geneva.read(folder(tmp_path, text), SMALL).rows

    left = {box[1] for box in rows.filter(label="normal")["box"]}
    assert ({0, 4, 8, 12}, {20, 24, 28, 32}) == (left, {box[1] for box in rows.filter(label="fibrosis")["box"]})
    assert {"CT-7605-0001.dcm"} == {Path(path).name for path in rows["path"]}


def test_a_patch_under_two_labels_is_left_out(tmp_path):
    """Where readers disagree about a patch it has no label."""
    text = HEAD + "label: healthy\nslice_number: 1\n" + SQUARE.format(0, 19.5)
    text += "label: fibrosis\n" + SQUARE.format(0, 9.5)

    rows = geneva.read(folder(tmp_path, text), SMALL).rows

    assert "fibrosis" not in set(rows["label"])
    assert [0, 0, 8, 8] not in rows["box"].to_list()


def test_a_missing_section_and_a_broken_file_are_listed(tmp_path):
    """What cannot be used is listed with a reason; the rest is read."""
    text = HEAD + "label: healthy\n" + "".join(f"slice_number: {n}\n" + SQUARE.format(2, 17) for n in (1, 2, 3))
    root = folder(tmp_path, text)
    (root / "ILD_DB" / "ILD_DB_txtROIs" / "12" / "CT-7605-0002.dcm").write_bytes(b"no DICOM")

    draft = geneva.read(root, SMALL)

    assert {"CT-7605-0001.dcm"} == {Path(path).name for path in draft.rows["path"]}
    assert {"cannot read the DICOM header: InvalidDicomError", "there is no CT file for section 3"} == set(
        draft.refused["reason"]
    )


def test_the_number_of_patches_is_capped_evenly(tmp_path):
    """`max_patches` holds for each patient and class, and always picks the same ones."""
    text = HEAD + "label: healthy\n" + "".join(f"slice_number: {n}\n" + SQUARE.format(2, 17) for n in (1, 2))
    root, spec = folder(tmp_path, text), SMALL.replaced(max_patches=7)

    first, second = geneva.read(root, spec).rows, geneva.read(root, spec).rows

    assert (first.height, first["path"].n_unique()) == (7, 2)
    assert first.equals(second)


@pytest.mark.parametrize("make", [True, False], ids=["empty tree", "no tree"])
def test_a_folder_without_regions_is_refused(tmp_path, make):
    """A folder that is not the database, or has no region, is refused with what to do."""
    if make:
        (tmp_path / "ILD_DB_txtROIs").mkdir()

    with pytest.raises(BadData, match="what to do"):
        geneva.read(tmp_path, SMALL)


def test_written_values_read_back(tmp_path):
    """The CT file holds the attenuation that was written, with position, spacing and numbers."""
    hu = np.random.default_rng(0).integers(-1024, 3071, (40, 40)).astype(np.float32)
    write_ct(tmp_path / "one.dcm", HEADER, hu, 7, -35.0)

    ds = pydicom.dcmread(tmp_path / "one.dcm")

    assert np.array_equal(hu, ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept))
    assert (ds.InstanceNumber, list(ds.PixelSpacing), ds.ImagePositionPatient[2]) == (7, [0.5, 0.5], -35.0)
    assert (ds.PatientID, str(ds.PatientName)) == ("SIM-T", "SIMULATED^SIM-T")
