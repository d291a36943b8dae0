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


@pytest.mark.skipif(REAL is None, reason="GRANDROUNDS_TEST_DATA names no folder of real images")
def test_real_lung_ct():
    """The two real volumes have the size and the air that their README and physics say."""
    folder = Path(str(REAL)) / "lung_ct"
    first, second = formats.read(folder / "lung1_image.nrrd"), formats.read(folder / "lung2_image.nrrd")

    assert (first.space, second.space) == ((48, 512, 512), (61, 512, 512))
    assert first.geometry.spacing_mm[0] == second.geometry.spacing_mm[0] == 5.0
    assert first.pixels.min() == second.pixels.min() == -1024
