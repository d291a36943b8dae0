"""Volumes out of several files lie where their slices lie, whatever format holds them."""

import io
import itertools
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)
from PIL import Image as Pillow
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from grandrounds import formats
from grandrounds.errors import BadData
from grandrounds.formats import Part
from grandrounds.image import Image

SHAPE = (4, 6, 5)  # slices, rows, columns
SPACING = (3.0, 0.8, 0.5)
ORIGIN = np.array([-20.0, 11.0, 7.0])
# Rows of a rotation: none of the axes lies along the patient's.
TURN = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]) @ np.array(
    [[1, 0, 0], [0, 0.6, 0.8], [0, -0.8, 0.6]]
)
SCENE = np.zeros(SHAPE, np.int16)
LANDMARKS = {(0, 1, 2): 100, (3, 5, 0): 200, (2, 0, 4): 300}
for place, value in LANDMARKS.items():
    SCENE[place] = value


def _place_mm(index, spacing, origin, row, column, across):
    """Return where a pixel lies, by the definition of DICOM PS3.3 C.7.6.2.1.1."""
    d, h, w = index
    return np.array(origin) + d * spacing[0] * np.array(across) + h * spacing[1] * column + w * spacing[2] * row


WANTED = {value: _place_mm(place, SPACING, ORIGIN, TURN[0], TURN[1], TURN[2]) for place, value in LANDMARKS.items()}


def _found(image: Image) -> dict[int, np.ndarray]:
    """Return where each landmark lies by the geometry of an image that was read."""
    cosines = np.array(image.geometry.direction)
    return {
        value: _place_mm(
            np.argwhere(image.pixels[0] == value)[0], image.geometry.spacing_mm, image.geometry.origin_mm,
            cosines[:3], cosines[3:6], cosines[6:],
        )
        for value in LANDMARKS.values()
    }  # fmt: skip


def _dicom(path, plane, origin, row, column, spacing):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CT"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelSpacing = list(spacing)
    dataset.ImagePositionPatient = [round(float(one), 6) for one in origin]
    dataset.ImageOrientationPatient = [round(float(one), 8) for one in (*row, *column)]
    dataset.PixelData = plane.astype("<i2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return Part(path)


FLIPS = list(itertools.product([False, True], repeat=3))


def _flipped(flips):
    """Return the scene stored with some axes turned round, and the geometry that makes it the same scene."""
    scene, origin, axes = SCENE, ORIGIN.copy(), [TURN[2].copy(), TURN[1].copy(), TURN[0].copy()]
    for axis, flip in enumerate(flips):
        if flip:
            scene = np.flip(scene, axis)
            origin = origin + (SHAPE[axis] - 1) * SPACING[axis] * axes[axis]
            axes[axis] = -axes[axis]
    return np.ascontiguousarray(scene), origin, axes


@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("suffix", ["dcm", "nrrd", "nii.gz", "mha"])
def test_landmarks_lie_where_they_were_planted(tmp_path, suffix, flips):
    """The same scene, oblique and stored with any axes turned round, is found at the same millimetres."""
    scene, origin, (across, column, row) = _flipped(flips)
    if suffix == "dcm":
        parts = [
            _dicom(tmp_path / f"{at}.dcm", plane, origin + at * SPACING[0] * across, row, column, SPACING[1:])
            for at, plane in enumerate(scene)
        ]
        image = formats.read_stack(parts)
    else:
        volume = sitk.GetImageFromArray(scene)
        volume.SetSpacing(SPACING[::-1])
        volume.SetOrigin(tuple(map(float, origin)))
        volume.SetDirection(np.stack([row, column, across], axis=1).ravel().tolist())
        sitk.WriteImage(volume, str(tmp_path / f"one.{suffix}"))
        image = formats.read(tmp_path / f"one.{suffix}")
    np.testing.assert_array_equal(image.pixels[0], scene)
    for value, place_mm in _found(image).items():
        np.testing.assert_allclose(place_mm, WANTED[value], atol=1e-3)


def test_a_slice_of_a_volume_lies_where_it_lay(tmp_path):
    """One frame of a left-handed volume has the position of its slice in the volume."""
    scene, origin, (across, column, row) = _flipped((True, False, False))
    volume = sitk.GetImageFromArray(scene)
    volume.SetSpacing(SPACING[::-1])
    volume.SetOrigin(tuple(map(float, origin)))
    volume.SetDirection(np.stack([row, column, across], axis=1).ravel().tolist())
    sitk.WriteImage(volume, str(tmp_path / "one.nrrd"))

    for frame, image in enumerate(formats.read_frames(tmp_path / "one.nrrd", frames=range(4))):
        np.testing.assert_allclose(image.geometry.origin_mm, origin + frame * SPACING[0] * across, atol=1e-5)
        np.testing.assert_array_equal(image.pixels[0], scene[frame])


def test_slices_that_do_not_fit_are_refused(tmp_path):
    """A slice of another size or direction makes no volume; a gap does."""
    plane, row, column = SCENE[0], TURN[0], TURN[1]
    first = _dicom(tmp_path / "a.dcm", plane, ORIGIN, row, column, SPACING[1:])
    small = _dicom(tmp_path / "b.dcm", plane[:3], ORIGIN + TURN[2], row, column, SPACING[1:])
    turned = _dicom(tmp_path / "c.dcm", plane, ORIGIN + TURN[2], column, row, SPACING[1:])
    far = _dicom(tmp_path / "d.dcm", plane, ORIGIN + 30 * TURN[2], row, column, SPACING[1:])

    for other in (small, turned):
        with pytest.raises(BadData, match="does not fit"):
            formats.read_stack([first, other])
    assert formats.read_stack([first, far]).geometry.spacing_mm[0] == pytest.approx(30.0)


def test_members_of_a_zip(tmp_path):
    """DICOM files and pictures inside a ZIP read as outside of it; a name like a path leads nowhere."""
    part = _dicom(tmp_path / "a.dcm", SCENE[0], ORIGIN, TURN[0], TURN[1], SPACING[1:])
    picture = io.BytesIO()
    Pillow.fromarray(SCENE[0].astype(np.uint8)).save(picture, "PNG")
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(part.path, "../../up/a.dcm")
        archive.writestr("C:\\b.png", picture.getvalue())
    before = sorted(tmp_path.rglob("*"))

    image = formats.read(tmp_path / "all.zip", member="../../up/a.dcm")
    np.testing.assert_array_equal(image.pixels, formats.read(part.path).pixels)
    assert image.geometry == formats.read(part.path).geometry
    np.testing.assert_array_equal(
        formats.read(tmp_path / "all.zip", member="C:\\b.png").pixels[0], SCENE[0].astype(np.uint8)
    )
    with pytest.raises(BadData, match="no such member"):
        formats.read(tmp_path / "all.zip", member="c.dcm")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_that_claims_too_much_is_refused(tmp_path):
    """A member that says it unpacks to gigabytes is refused before a byte is unpacked."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.dcm", "w", force_zip64=True) as file,
    ):
        for _ in range(700):
            file.write(bytes(2**20))
    with pytest.raises(BadData, match="MiB"):
        formats.read(tmp_path / "bomb.zip", member="a.dcm")


def test_a_volume_of_a_multiframe_file_equals_its_frames():
    """Frames read one by one are those of the whole, in order."""
    path = pydicom.data.get_testdata_file("emri_small.dcm", download=False)
    whole = formats.read(path)
    frames = list(formats.read_frames(path, frames=range(whole.space[0])))

    np.testing.assert_array_equal(np.stack([one.pixels for one in frames], axis=1), whole.pixels)
