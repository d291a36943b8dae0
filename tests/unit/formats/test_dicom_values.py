"""Values of DICOM images mean what the standard says: rescale, LUTs, padding, sign, colour, every compression."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
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
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGLSLossless,
        RLELossless,
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_every_lossless_way_to_store_gives_the_same_values(write_dicom, tmp_path, syntax, dtype):
    """Transfer syntaxes change bytes, not values."""
    stored = np.random.default_rng(0).integers(0, 200, (64, 48)).astype(dtype)
    dataset = pydicom.dcmread(write_dicom(stored, Modality="MR"))
    if syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(tmp_path / "other.dcm")
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(tmp_path / "other.dcm")

    np.testing.assert_array_equal(formats.read(tmp_path / "other.dcm").pixels[0], stored)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SC_rgb_rle.dcm", "SC_rgb.dcm"),
        ("SC_rgb_16bit_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"),
        ("SC_rgb_expb.dcm", "SC_rgb.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm"),
        ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm"),
        ("gdcm-US-ALOKA-16_big.dcm", "gdcm-US-ALOKA-16.dcm"),
        ("RG1_J2KR.dcm", "RG1_UNCR.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
    ],
)
def test_real_files_stored_in_two_ways_are_one_image(one, other):
    """What the same image of the test sets gives does not depend on how it is stored."""
    first, second = (formats.read(pydicom.data.get_testdata_file(name, download=False)).pixels for name in (one, other))

    np.testing.assert_array_equal(first, second)


def test_a_lossy_jpeg_of_twelve_bits():
    """The values that pydicom's own tests give for this file come out."""
    for name in ("JPGExtended.dcm", "JPEG-lossy.dcm"):
        pixels = formats.read(pydicom.data.get_testdata_file(name, download=False)).pixels[0]
        assert (pixels[420, 140], pixels[230, 120]) == (244, 95)


@pytest.mark.parametrize(
    "name",
    [
        "SC_ybr_full_uncompressed.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_jls_lossy_line.dcm",
    ],
)
def test_luminance_and_chroma_become_red_green_and_blue(name):
    """Bars of ten colours are within six values of those that were stored, in whatever way."""
    bars, found = (
        formats.read(pydicom.data.get_testdata_file(one, download=False)).pixels.astype(int)
        for one in ("SC_rgb.dcm", name)
    )

    assert bars[:, 5, 50].tolist() == [255, 0, 0]
    assert np.abs(found - bars).max() <= 6


def test_a_script_without_a_guard_reads_what_is_decoded_elsewhere(tmp_path):
    """The process of its own does not run the script again, as others do that are started from one."""
    path = pydicom.data.get_testdata_file("SC_rgb_jpeg_gdcm.dcm", download=False)
    script = tmp_path / "script.py"
    script.write_text(f"from grandrounds import formats\nprint('once', formats.read({path!r}).pixels.shape)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=200)

    assert done.stdout == "once (3, 100, 100)\n", done.stderr[-500:]


def test_a_palette_becomes_colour(write_dicom):
    """Indices go through the tables of red, green and blue, each its own."""
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tables = {name: (np.arange(16) * step).astype("<u2") for name, step in (("Red", 1), ("Green", 100), ("Blue", 4000))}
    path = write_dicom(
        indices, Modality="US", PhotometricInterpretation="PALETTE COLOR",
        **{f"{name}PaletteColorLookupTableDescriptor": [16, 0, 16] for name in tables},
        **{f"{name}PaletteColorLookupTableData": table.tobytes() for name, table in tables.items()},
    )  # fmt: skip

    np.testing.assert_array_equal(formats.read(path).pixels, [table[indices] for table in tables.values()])


@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_file_without_a_head_of_its_own_is_read(write_dicom, is_implicit):
    """Older exports begin with their first element: no preamble, no meta group, no transfer syntax (PS3.10 7.1)."""
    path = write_dicom(STORED, Modality="MR")
    bare = Dataset(pydicom.dcmread(path))
    bare.save_as(path, implicit_vr=is_implicit, little_endian=True, enforce_file_format=False)

    assert path.read_bytes()[:4] == b"\x08\0\x16\0"
    np.testing.assert_array_equal(formats.read(path).pixels[0], STORED)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_stream_that_claims_more_than_its_header_is_refused(write_dicom, tmp_path, syntax):
    """Rows and columns of the compressed image are checked before a decoder allocates them."""
    dataset = pydicom.dcmread(write_dicom(np.zeros((64, 64), np.uint8), Modality="MR"))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.Rows = dataset.Columns = 32
    dataset.save_as(tmp_path / "more.dcm")

    with pytest.raises(BadData, match="claims 64 x 64 pixels, its header 32 x 32"):
        formats.read(tmp_path / "more.dcm")


def test_a_jpeg_ls_stream_without_an_end_is_refused_at_once(write_dicom, tmp_path):
    """Its decoder would go on looking for the end for seconds of a core; padding behind the end is none."""
    dataset = pydicom.dcmread(write_dicom(np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)))
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    whole = get_frame(dataset.PixelData, 0, number_of_frames=1)
    end = whole.index(b"\xff\xd9")
    for stream in (whole[: len(whole) // 4 * 2], whole[: end // 2 * 2], whole[:end] + b"\0\0"):
        dataset.PixelData = encapsulate([stream])
        dataset.save_as(tmp_path / "cut.dcm")
        with pytest.raises(BadData, match="compressed image is cut off"):
            formats.read(tmp_path / "cut.dcm")
    dataset.PixelData = encapsulate([whole[: end + 2] + bytes(6)])
    dataset.save_as(tmp_path / "padded.dcm")
    assert formats.read(tmp_path / "padded.dcm").space == (64, 64)


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
