from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds import formats
from grandrounds.errors import BadData


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jpg"])
def test_grey_of_eight_bits(tmp_path, suffix):
    """A grey picture has one channel."""
    pixels = np.full((5, 7), 40, dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / f"one.{suffix}")

    image = formats.read(tmp_path / f"one.{suffix}")

    assert (image.pixels.dtype, image.unit) == (np.uint8, "grey")
    np.testing.assert_array_equal(image.pixels, pixels[None])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    """Nothing is squeezed into eight bits."""
    pixels = np.array([[0, 1000], [40_000, 65_535]], dtype=np.uint16)
    Pillow.fromarray(pixels).save(tmp_path / f"one.{suffix}")

    np.testing.assert_array_equal(formats.read(tmp_path / f"one.{suffix}").pixels[0], pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_has_three_channels(tmp_path, mode):
    """Whatever the colour space of the file, red, green and blue come out."""
    path = tmp_path / ("one.tif" if mode == "CMYK" else "one.png")
    Pillow.new("RGB", (4, 3), (255, 0, 0)).convert(mode).save(path)

    pixels = formats.read(path).pixels

    assert pixels.shape == (3, 3, 4)
    assert pixels[0].min() > 200
    assert pixels[1].max() < 100


def test_pages_of_a_tiff(tmp_path):
    """Pages are a stack, or one of them."""
    pages = [Pillow.fromarray(np.full((4, 6), value, dtype=np.uint8)) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])

    assert formats.read(tmp_path / "stack.tif").pixels.shape == (1, 3, 4, 6)
    assert formats.read(tmp_path / "stack.tif", frame=2).pixels.max() == 3
    with pytest.raises(BadData, match="no page 3"):
        formats.read(tmp_path / "stack.tif", frame=3)


def test_upright_camera_pictures(tmp_path):
    """The orientation that a camera noted is applied, as every viewer does."""
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Pillow.new("L", (8, 16)).save(tmp_path / "one.jpg", exif=exif)

    assert formats.read(tmp_path / "one.jpg").space == (8, 16)


def test_deep_colour_is_refused(tmp_path):
    """Sixteen bits of colour would be cut silently, so they are refused aloud."""
    Pillow.new("RGB", (4, 3)).save(tmp_path / "one.png")
    content = bytearray((tmp_path / "one.png").read_bytes())
    content[24] = 16
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    (tmp_path / "one.png").write_bytes(bytes(content))

    with pytest.raises(BadData, match="16 bits"):
        formats.read(tmp_path / "one.png")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_truncated_jpeg(tmp_path, part):
    """Half a JPEG is refused, not filled with grey."""
    path = tmp_path / "one.jpg"
    Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    with pytest.raises(BadData):
        formats.read(path)


@pytest.mark.parametrize(("suffix", "options"), [("gif", {}), ("webp", {"lossless": True})])
def test_pictures_of_the_web(tmp_path, suffix, options):
    """A GIF and a WebP keep every grey, though they store it as colours; half of one is refused."""
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    path = tmp_path / f"one.{suffix}"
    Pillow.fromarray(pixels).save(path, **options)

    image = formats.read(path)

    assert (image.colours, image.pixels.dtype) == ("grey as RGB", np.uint8)
    np.testing.assert_array_equal(image.pixels[0], pixels)
    assert formats.names_image(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadData):
        formats.read(path)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_moving_pictures_are_refused(tmp_path, suffix):
    """Which of several frames is meant nobody knows."""
    frames = [Pillow.fromarray(np.full((8, 8), value, dtype=np.uint8)) for value in (1, 99)]
    frames[0].save(tmp_path / f"one.{suffix}", save_all=True, append_images=frames[1:])

    with pytest.raises(BadData, match="several frames"):
        formats.read(tmp_path / f"one.{suffix}")
