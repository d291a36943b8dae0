"""Values of DICOM images mean what the standard says: rescale, LUTs, padding, sign, colour, every compression."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from grandrounds import formats
from grandrounds.errors import BadData
from grandrounds.formats.dicom_display import display

STORED = (np.arange(48, dtype=np.uint16) * 50).reshape(6, 8)
FOLDER = Path(pydicom.__file__).parent / "data"


def lut(values, first, bits):
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [len(values), first, bits], np.array(values, "<u2").tobytes()
    return [item]


@pytest.mark.parametrize("signed", [False, True])
def test_padding_is_never_an_extreme(write_dicom, signed):
    """Outside the scan field the image is as dark as its darkest part, whatever was stored there."""
    stored = STORED.astype(np.int16) - 1000 if signed else STORED.copy()
    stored[0, :3] = -2000 if signed else 63536
    path = write_dicom(
        stored, PixelPaddingValue=int(stored[0, 0]), RescaleSlope="1", RescaleIntercept="0" if signed else "-1024"
    )
    pixels = formats.read(path).pixels[0]

    assert (pixels[0, :3] == pixels[0, 3:].min()).all()
    assert pixels.max() < 2400


def test_a_range_of_padding(write_dicom):
    """All values from the padding value to its limit are padding."""
    path = write_dicom(STORED, PixelPaddingValue=0, PixelPaddingRangeLimit=500, Modality="MR")

    assert formats.read(path).pixels.min() == 550


def test_padding_of_an_inverted_image_is_dark(write_dicom):
    """In MONOCHROME1 the stored padding is white on paper; it becomes black."""
    stored = STORED.copy()
    stored[:, 0] = 0
    path = write_dicom(stored, PixelPaddingValue=0, Modality="DX", PhotometricInterpretation="MONOCHROME1")
    pixels = formats.read(path).pixels[0]

    assert (pixels[:, 0] == pixels[:, 1:].min()).all()


def test_a_modality_lut_is_applied(write_dicom):
    """Values go through the table of the modality, as pydicom's own function has it."""
    path = write_dicom(STORED // 50, Modality="CR", ModalityLUTSequence=lut([v * v for v in range(48)], 0, 16))
    dataset = pydicom.dcmread(path)

    np.testing.assert_array_equal(formats.read(path).pixels[0], apply_modality_lut(pixel_array(dataset), dataset))
    np.testing.assert_array_equal(formats.read(path).pixels[0].ravel(), np.arange(48) ** 2)


def test_windows_are_for_looking(write_dicom):
    """A window changes what is shown, and nothing that a model reads; narrow and wide agree with pydicom."""
    path = write_dicom(STORED, Modality="MR", WindowCenter="1000", WindowWidth="400")
    dataset = pydicom.dcmread(path)
    wanted = apply_voi_lut(STORED, dataset) / (2**16 - 1)

    np.testing.assert_array_equal(formats.read(path).pixels[0], STORED)
    np.testing.assert_allclose(display(path)[0], wanted, atol=1e-6)


def test_a_voi_lut_is_for_looking(write_dicom):
    """A table of values of interest is followed when the image is shown; MONOCHROME1 comes out as it is meant."""
    curve = [int(4095 * (v / 47) ** 0.5) for v in range(48)]
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        path = write_dicom(
            STORED // 50, Modality="DX", VOILUTSequence=lut(curve, 0, 12), PhotometricInterpretation=photometric
        )
        shown = display(path)[0].ravel()
        wanted = np.array(curve) / 4095
        np.testing.assert_allclose(shown, wanted if photometric == "MONOCHROME2" else 1 - wanted, atol=1e-6)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_every_lossless_way_to_store_gives_the_same_values(write_dicom, tmp_path, syntax, dtype):
    """Transfer syntaxes change bytes, not values."""
    stored = np.random.default_rng(0).integers(0, 200, (64, 48)).astype(dtype)
    dataset = pydicom.dcmread(write_dicom(stored, Modality="MR"))
    if syntax.is_compressed:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(tmp_path / "other.dcm")
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(tmp_path / "other.dcm")

    np.testing.assert_array_equal(formats.read(tmp_path / "other.dcm").pixels[0], stored)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ExplVR_BigEnd.dcm", "ExplVR_LitEnd.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb.dcm"),
        ("SC_rgb_16bit_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("image_dfl.dcm", "image_dfl.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
        ("SC_ybr_full_uncompressed.dcm", "SC_ybr_full_uncompressed.dcm"),
    ],
)
def test_real_files_stored_in_two_ways_are_one_image(one, other):
    """What the same image of the test sets gives does not depend on how it is stored."""
    paths = [pydicom.data.get_testdata_file(name, download=False) for name in (one, other)]
    if None in paths:
        pytest.skip("pydicom does not ship this file")
    first, second = (formats.read(path).pixels for path in paths)

    np.testing.assert_array_equal(first, second)


def test_a_lossy_jpeg_of_twelve_bits():
    """The values that pydicom's own tests give for this file come out."""
    for name in ("JPGExtended.dcm", "JPEG-lossy.dcm"):
        pixels = formats.read(pydicom.data.get_testdata_file(name, download=False)).pixels[0]
        assert (pixels[420, 140], pixels[230, 120]) == (244, 95)


def test_a_palette_becomes_colour():
    """Indices go through the palette of the file."""
    path = pydicom.data.get_testdata_file("examples_palette.dcm", download=False)
    image = formats.read(path)

    assert len(image.pixels) == 3
    assert image.pixels.max() > 255


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_stream_that_claims_more_than_its_header_is_refused(write_dicom, tmp_path, syntax):
    """Rows and columns of the compressed image are checked before a decoder allocates them."""
    dataset = pydicom.dcmread(write_dicom(np.zeros((64, 64), np.uint8), Modality="MR"))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.Rows = dataset.Columns = 32
    dataset.save_as(tmp_path / "more.dcm")

    with pytest.raises(BadData, match="claims 64 x 64 pixels, its header 32 x 32"):
        formats.read(tmp_path / "more.dcm")


def test_bits_above_the_stored_ones_do_not_count(write_dicom):
    """Twelve bits in sixteen may carry overlays above; they are no part of a value."""
    stored = STORED.copy()
    path = write_dicom(stored, Modality="MR")
    dataset = pydicom.dcmread(path)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.PixelData = (stored | 0x8000).astype("<u2").tobytes()
    dataset.save_as(path)

    np.testing.assert_array_equal(formats.read(path).pixels[0], stored)


def test_big_endian_is_understood():
    """The list of real files above has big-endian ones, so that this cannot pass by skipping."""
    path = pydicom.data.get_testdata_file("MR_small_bigendian.dcm", download=False)

    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == ExplicitVRBigEndian
