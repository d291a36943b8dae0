from __future__ import annotations

import io
import time
import zipfile

import numpy as np
import pytest

from grandrounds import formats
from grandrounds.errors import BadData


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (1, 5, 7)),
        ((5, 7, 3), (3, 5, 7)),
        ((5, 7, 1), (1, 5, 7)),
        ((3, 5, 7), (3, 5, 7)),
        ((9, 5, 7), (1, 9, 5, 7)),
        ((9, 5, 7, 3), (3, 9, 5, 7)),
    ],
)
def test_axes(tmp_path, shape, expected):
    """Few values along an axis at the end are channels, many along the first are slices."""
    np.save(tmp_path / "one.npy", np.zeros(shape, dtype=np.float32))

    assert formats.read(tmp_path / "one.npy").pixels.shape == expected


def test_frames_of_an_array_and_of_an_archive(tmp_path):
    """A frame is taken along the first axis; colour frames keep their channels."""
    stack = np.arange(6 * 5 * 7 * 3, dtype=np.uint8).reshape(6, 5, 7, 3)
    np.save(tmp_path / "stack.npy", stack)
    np.savez_compressed(tmp_path / "stack.npz", train_images=stack, train_labels=np.zeros(6))

    expected = np.moveaxis(stack[4], -1, 0)
    np.testing.assert_array_equal(formats.read(tmp_path / "stack.npy", frame=4).pixels, expected)
    image = formats.read(tmp_path / "stack.npz", member="train_images", frame=4)
    np.testing.assert_array_equal(image.pixels, expected)
    with pytest.raises(BadData, match="train_images, train_labels"):
        formats.read(tmp_path / "stack.npz")
    with pytest.raises(BadData, match="no array 'val_images'"):
        formats.read(tmp_path / "stack.npz", member="val_images", frame=0)
    with pytest.raises(BadData, match="no frame 6"):
        formats.read(tmp_path / "stack.npz", member="train_images", frame=6)


def test_pixels_belong_to_the_reader(tmp_path):
    """Writing into what was read changes neither the file nor the next reading."""
    np.savez(tmp_path / "one.npz", images=np.zeros((3, 4, 5), dtype=np.uint8))
    first = formats.read(tmp_path / "one.npz", frame=0)
    np.asarray(first.pixels)[:] = 9

    assert formats.read(tmp_path / "one.npz", frame=0).pixels.max() == 0


def test_changed_archive_is_read_anew(tmp_path):
    """The array kept from the last reading is dropped once the file changes."""
    path = tmp_path / "one.npz"
    np.savez(path, images=np.zeros((3, 4, 5), dtype=np.uint8))
    formats.read(path, frame=0)
    np.savez(path, images=np.ones((4, 4, 5), dtype=np.uint8))

    assert formats.read(path, frame=0).pixels.max() == 1


def test_big_endian_and_fortran_order(tmp_path):
    """Whatever the order of bytes and axes in the file, the values are right and native."""
    array = np.asfortranarray(np.arange(12, dtype=">i2").reshape(3, 4))
    np.save(tmp_path / "one.npy", array)

    pixels = formats.read(tmp_path / "one.npy").pixels

    assert pixels.dtype.isnative
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels[0], array)


@pytest.mark.parametrize("values", [np.array(["a"]), np.zeros((3, 4), dtype=complex), np.array([{}], dtype=object)])
def test_no_numbers_no_image(tmp_path, values):
    """Text, complex numbers and Python objects are refused; nothing is unpickled."""
    np.save(tmp_path / "one.npy", values, allow_pickle=True)

    with pytest.raises(BadData):
        formats.read(tmp_path / "one.npy")


def test_archive_that_claims_two_gib(tmp_path):
    """A few hundred bytes that claim 2 GiB are refused at once."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (2048, 1024, 1024)})
    with zipfile.ZipFile(tmp_path / "one.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", head.getvalue())
    started = time.perf_counter()

    with pytest.raises(BadData, match="truncated"):
        formats.read(tmp_path / "one.npz", member="images", frame=0)
    assert time.perf_counter() - started < 2


def test_damaged_member(tmp_path):
    """A checksum that does not fit is noticed, even where the bytes can be unpacked."""
    path = tmp_path / "one.npz"
    np.savez(path, images=np.zeros((3, 40, 50), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(bytes(content))

    with pytest.raises(BadData):
        formats.read(path, frame=0)
