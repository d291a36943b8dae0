from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)

from grandrounds import formats
from grandrounds.errors import BadData

REAL = os.environ.get("GRANDROUNDS_TEST_DATA")
VALUES = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


def _write(path: Path, *, compressed: bool = False) -> Path:
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing((0.5, 0.75, 5.0))  # column, row, slice
    image.SetOrigin((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii", "nii.gz"])
def test_volume_and_slice(tmp_path, suffix, compressed):
    """Axes are (slice, row, column), and one slice is placed where it lies."""
    path = _write(tmp_path / f"one.{suffix}", compressed=compressed)

    image = formats.read(path)
    np.testing.assert_array_equal(image.pixels[0], VALUES)
    assert image.geometry.spacing_mm == pytest.approx((5.0, 0.75, 0.5))
    assert image.geometry.direction == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))

    one = formats.read(path, frame=1)
    np.testing.assert_array_equal(one.pixels[0], VALUES[1])
    assert one.geometry.spacing_mm == pytest.approx((0.75, 0.5))
    assert one.geometry.origin_mm == pytest.approx((1.0, 2.0, 8.0))
    with pytest.raises(BadData, match="no slice 2"):
        formats.read(path, frame=2)


def test_pixels_in_another_file(tmp_path):
    """A header never leads to another file."""
    (tmp_path / "one.nrrd").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nencoding: raw\ndata file: ../secret.raw\n\n"
    )
    (tmp_path / "one.mha").write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\nElementDataFile = /etc/hostname\n"
    )

    for name in ("one.nrrd", "one.mha"):
        with pytest.raises(BadData, match="another file"):
            formats.read(tmp_path / name)


def _nifti_header(shape: tuple[int, int, int]) -> bytes:
    header = bytearray(480)
    header[0:4] = (348).to_bytes(4, "little")
    header[40:48] = np.array([3, *shape], dtype="<i2").tobytes()
    header[48:56] = np.array([1] * 4, dtype="<i2").tobytes()
    header[70:74] = np.array([4, 16], dtype="<i2").tobytes()  # int16
    header[76:108] = np.ones(8, dtype="<f4").tobytes()
    header[108:112] = np.array([352], dtype="<f4").tobytes()
    header[344:348] = b"n+1\x00"
    return bytes(header)


@pytest.mark.parametrize("shape", [(2000, 2000, 200), (500, 500, 200)])
def test_nifti_bomb(tmp_path, shape):
    """480 bytes that claim a huge volume are refused, beyond the budget and within it, packed or not."""
    (tmp_path / "one.nii").write_bytes(_nifti_header(shape))
    (tmp_path / "one.nii.gz").write_bytes(gzip.compress(_nifti_header(shape)))

    for name in ("one.nii", "one.nii.gz"):
        with pytest.raises(BadData, match="claims"):
            formats.read(tmp_path / name)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_pixels_that_are_no_numbers_stay_so(tmp_path, suffix, dtype):
    """ITK reads them as zeros; here they are as the file has them, in large volumes too, and the image says so."""
    values = np.random.default_rng(0).normal(size=(70, 64, 65)).astype(dtype)
    values[0, 0, 1], values[40, 5, 6], values[-1, -1, -1] = np.nan, np.inf, -np.inf
    path = _nifti_of(tmp_path / f"one.{suffix}", values)

    image = formats.read(path)
    np.testing.assert_array_equal(image.pixels[0], values)
    assert not image.is_finite
    assert [at for at in range(70) if not formats.read(path, frame=at).is_finite] == [0, 40, 69]


def test_numbers_behind_a_longer_header(tmp_path):
    """Extensions lie between header and pixels, and what follows the pixels is none of them."""
    values = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    values[1, 2, 3] = np.nan
    path = _nifti_of(tmp_path / "one.nii", values, start=1000)
    path.write_bytes(path.read_bytes() + np.array([np.nan], "<f4").tobytes())

    np.testing.assert_array_equal(formats.read(path).pixels[0], values)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("one.nii", gzip.compress, "packed with gzip"),
        ("one.nii", lambda content: content[:40] + b"\x50\x00" + content[42:], "claims 80 axes"),
        ("one.nii.gz", lambda content: gzip.compress(bytes(len(content))), "not a NIfTI file"),
    ],
)
def test_a_damaged_header_is_told_in_our_words_alone(tmp_path, capfd, name, spoil, message):
    """The library behind ITK writes what it dislikes on the terminal."""
    content = _nifti_of(tmp_path / "whole.nii", np.zeros((2, 3, 4), "<f4")).read_bytes()
    (tmp_path / name).write_bytes(spoil(content))

    assert formats.n_slices(tmp_path / name) is None
    with pytest.raises(BadData, match=message):
        formats.read(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def _nifti_of(path: Path, values: np.ndarray, *, start: int = 352) -> Path:
    """Write a NIfTI-1 file (slice, row, column) of any order of bytes by hand."""
    order = values.dtype.str[0]
    header = bytearray(start)
    header[0:4] = np.array(348, f"{order}i4").tobytes()
    header[40:56] = np.array([3, *values.shape[::-1], 1, 1, 1, 1], f"{order}i2").tobytes()
    header[70:74] = np.array([{4: 16, 8: 64}[values.itemsize], 8 * values.itemsize], f"{order}i2").tobytes()
    header[76:108] = np.ones(8, f"{order}f4").tobytes()
    header[108:112] = np.array(start, f"{order}f4").tobytes()
    header[344:348] = b"n+1\0"
    content = bytes(header) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.skipif(REAL is None, reason="GRANDROUNDS_TEST_DATA names no folder of real images")
def test_real_lung_ct():
    """The two real volumes have the size and the air that their README and physics say."""
    folder = Path(str(REAL)) / "lung_ct"
    first, second = formats.read(folder / "lung1_image.nrrd"), formats.read(folder / "lung2_image.nrrd")

    assert (first.space, second.space) == ((48, 512, 512), (61, 512, 512))
    assert first.geometry.spacing_mm[0] == second.geometry.spacing_mm[0] == 5.0
    assert first.pixels.min() == second.pixels.min() == -1024
