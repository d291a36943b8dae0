from __future__ import annotations

import logging
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from grandrounds import formats
from grandrounds.errors import BadData
from grandrounds.image import Geometry

STORED = np.arange(12, dtype=np.uint16).reshape(3, 4)


def test_ct_is_in_hounsfield_units(write_dicom):
    """Slope and intercept are applied, and the unit says so."""
    image = formats.read(write_dicom(STORED, RescaleSlope="2", RescaleIntercept="-1024"))

    assert (image.unit, image.modality, image.pixels.shape) == ("hu", "CT", (1, 3, 4))
    np.testing.assert_array_equal(image.pixels[0], STORED * 2.0 - 1024)


def test_without_rescale_the_stored_values_stay(write_dicom):
    """Nothing is invented where the header gives no rescale."""
    image = formats.read(write_dicom(STORED))

    assert image.unit == "grey"
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels[0], STORED)


def test_monochrome1_is_inverted(write_dicom):
    """Greater is brighter after reading, over the range that the stored bits allow."""
    path = write_dicom(STORED.astype(np.uint8), Modality="DX", PhotometricInterpretation="MONOCHROME1")

    np.testing.assert_array_equal(formats.read(path).pixels[0], 255 - STORED)


def test_monochrome1_ct_keeps_its_hounsfield_units(write_dicom):
    """Photometric interpretation is about the display; the density of air is not."""
    path = write_dicom(STORED, PhotometricInterpretation="MONOCHROME1", RescaleSlope="1", RescaleIntercept="-1024")

    assert formats.read(path).pixels.min() == -1024


def test_geometry_and_box(write_dicom):
    """Spacing is (row, column), and a box moves the origin along rows and columns."""
    path = write_dicom(
        STORED,
        PixelSpacing=[0.5, 2.0],
        ImagePositionPatient=[10.0, 20.0, 30.0],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )

    assert formats.read(path).geometry == Geometry((0.5, 2.0), (10.0, 20.0, 30.0), (1, 0, 0, 0, 1, 0))
    part = formats.read(path, box=(1, 2, 3, 4))
    assert part.geometry.origin_mm == (14.0, 20.5, 30.0)
    np.testing.assert_array_equal(part.pixels[0], STORED[1:3, 2:4])


def test_only_allowed_elements_leave_the_header(write_dicom):
    """The name of a patient never leaves the file; what models may read does."""
    path = write_dicom(
        STORED,
        PatientName="SIMULATED^Nobody",
        PatientBirthDate="19000101",
        PatientSex="F",
        PatientAge="018M",
        ManufacturerModelName="Simulator",
        ConvolutionKernel="B70f",
        BodyPartExamined="CHEST",
        Laterality="L",
    )

    assert dict(formats.read(path).header) == {
        "patient": "SIM-0007",
        "sex": "F",
        "age_years": "1.5",
        "scanner": "Simulator",
        "kernel": "B70f",
        "body_part": "CHEST",
        "side": "left",
        "format": "DICOM",
        "compression": "Explicit VR Little Endian",
        "photometric": "MONOCHROME2",
        "bits_stored": "16",
    }


def test_frames_of_one_file(write_dicom):
    """A file of several frames is a stack, or one of them."""
    stack = np.stack([STORED, STORED + 100])
    path = write_dicom(stack)

    assert formats.read(path).pixels.shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(formats.read(path, frame=1).pixels[0], stack[1])
    with pytest.raises(BadData, match="no frame 2"):
        formats.read(path, frame=2)


def test_colour_stays_colour(write_dicom):
    """Three samples per pixel become three channels."""
    colours = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    image = formats.read(write_dicom(colours, Modality="XC", PhotometricInterpretation="RGB"))

    np.testing.assert_array_equal(image.pixels, np.moveaxis(colours, -1, 0))


def test_no_value_of_a_patient_is_said_aloud(write_dicom, caplog):
    """Neither warnings nor log lines quote what the header holds."""
    path = write_dicom(STORED)
    dataset = pydicom.dcmread(path)
    with warnings.catch_warnings(action="ignore"):
        dataset.PatientAge = "SECRETAGE"
        dataset.ImagePositionPatient = [0, 0, 0]
        dataset.save_as(path)

    with caplog.at_level(logging.DEBUG, logger=""), warnings.catch_warnings(action="error"):
        formats.read(path)

    assert "SECRET" not in caplog.text


def test_claimed_size_beyond_the_budget(write_dicom):
    """Rows and columns are believed only as far as the budget goes."""
    path = write_dicom(STORED, Rows=65_000, Columns=65_000)

    with pytest.raises(BadData, match="the most that is read at once"):
        formats.read(path)


def test_deflated_bomb(write_dicom):
    """A small deflated file that inflates beyond the budget is refused before pydicom inflates it."""
    path = write_dicom(STORED)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    assert formats.read(path).pixels.shape == (1, 3, 4)

    content = path.read_bytes()
    meta = content[: content.index(b"1.2.840.10008.1.2.1.99")]
    start = 144 + int.from_bytes(meta[140:144], "little")  # (0002,0000) says how long the meta group is
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = b"".join(packer.compress(bytes(2**24)) for _ in range(33)) + packer.flush()
    path.write_bytes(content[:start] + zeros)
    with pytest.raises(BadData, match="the most that is read at once"):
        formats.read(path)


def test_a_blank_image_deflates_to_nearly_nothing(write_dicom):
    """A thousand to one is no bomb where the header says as many pixels."""
    path = write_dicom(np.zeros((2048, 2048), np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)

    assert path.stat().st_size < 2048 * 2048 * 2 / 500
    assert formats.read(path).space == (2048, 2048)


def _pydicom_files() -> list[Path]:
    folder = Path(pydicom.__file__).parent / "data"
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc"))


def test_every_file_that_pydicom_ships_is_read_or_refused():
    """Of well over a hundred odd and broken files, nothing but an image or `BadData` comes out."""
    files = _pydicom_files()
    read, where = 0, set()
    for file in files:
        try:
            read += formats.read(file).pixels.size > 0
        except BadData as refused:
            where.add(refused.where == str(file))

    assert len(files) > 150
    assert read >= 80
    assert where == {True}
