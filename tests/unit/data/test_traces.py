"""What an image carries besides the finding is measured on its pixels as they are."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from grandrounds import formats
from grandrounds.data.traces import LEAST_TEXT_PX, TRACES, traces_of
from grandrounds.image import Image


def tissue(seed=0, side=256):
    """Return an image with structure at several scales, mostly grey."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), s) * s for s in (1.5, 4, 12)]
    grey = np.sum(layers, axis=0)
    return np.clip(grey / grey.std() * 35 + 90, 0, 230).astype(np.uint8)


def of(pixels, **header):
    return traces_of(Image(pixels[None] if pixels.ndim == 2 else pixels, header=header))


def test_every_column_is_told():
    """The columns of the table are all there."""
    assert {"sample", *of(tissue())} == set(TRACES)


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.2])
def test_burned_in_writing_is_seen_where_it_stands(scale):
    """A caption covers part of its quarter, and nothing is seen without it."""
    marked = tissue()
    cv2.putText(marked, "L PORT", (4, 34), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    with_text, without = of(marked), of(tissue())

    assert with_text["text_top_left"] > 0.01
    assert with_text["text_bottom_right"] == 0
    assert without["text_all"] == 0


def test_small_images_hold_no_writing():
    """Of an image that nobody could read a caption in, nothing is said."""
    small = tissue(side=LEAST_TEXT_PX // 2)

    assert of(small)["text_all"] is None


def test_an_empty_margin_is_as_wide_as_it_is():
    """Lines of one value from the edge inwards are counted; the other sides have none."""
    framed = np.pad(tissue(), ((32, 0), (0, 0)))
    found = of(framed)

    assert found["flat_top"] == pytest.approx(32 / 288)
    assert (found["flat_bottom"], found["flat_left"], found["flat_right"]) == (0, 0, 0)
    assert (found["mean_top"], found["sd_top"]) == (0, 0)
    assert found["mean_bottom"] > 50


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        (np.array([[0, 255]], np.uint8), 8),
        (np.array([[0, 255 << 4]], np.uint16), 8),  # 8 bits that were spread
        (np.array([[-1024, 1023]], np.int16), 11),
        (np.array([[0, 0]], np.uint8), 0),
        (np.array([[0.5, 0.1]], np.float32), None),
    ],
)
def test_bits_that_are_used(pixels, bits):
    """The type says what could be stored, the bits what was."""
    assert of(pixels)["bits_used"] == bits


def test_how_hard_a_jpeg_was_pressed_is_told(tmp_path):
    """Two qualities of one picture differ, and a PNG is another format."""
    told = []
    for name, options in (("a.jpg", {"quality": 95}), ("b.jpg", {"quality": 50}), ("c.png", {})):
        content = io.BytesIO()
        Pillow.fromarray(tissue()).save(content, "png" if name.endswith("png") else "jpeg", **options)
        (tmp_path / name).write_bytes(content.getvalue())
        found = traces_of(formats.read(tmp_path / name))
        told.append((found["format"], found["compression"]))

    assert [one[0] for one in told] == ["JPEG", "JPEG", "PNG"]
    assert len(set(told)) == 3


def test_a_volume_is_told_by_its_middle_slice():
    """Slices, rows and columns: the middle one is looked at."""
    volume = np.zeros((1, 3, 200, 200), np.uint8)
    volume[0, 1] = tissue(side=200)

    assert of(volume) == of(volume[:, 1])
