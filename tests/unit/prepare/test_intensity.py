"""Steps that change grey values, on values whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.errors import BadData, BadSpec
from grandrounds.image import Image
from grandrounds.prepare import build_step


def grey(values, dtype, unit="grey"):
    """An image of one row."""
    return Image(np.array([[values]], dtype=dtype), unit=unit)


def applied(image, **content):
    """The pixels that a step gives."""
    return build_step(content)(image).pixels


def test_a_window_clips_and_scales_hounsfield_units():
    """Air is black, the upper limit white, metal no whiter."""
    image = grey([-2000, -1000, -300, 400, 3000], np.int16, "hu")

    assert applied(image, step="window").ravel().tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_window_refuses_pixels_that_are_no_hounsfield_units():
    """An 8-bit picture of a CT is not a CT."""
    with pytest.raises(BadData, match="needs Hounsfield units"):
        applied(grey([1, 2], np.uint8), step="window")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 51, 255], np.uint8, [0, 0.2, 1]),
        ([0, 13107, 65535], np.uint16, [0, 0.2, 1]),
        ([0, 1], np.bool_, [0, 1]),
        ([0.25, 1], np.float64, [0.25, 1]),
    ],
)
def test_scale_takes_the_limits_of_the_type(values, dtype, expected):
    """Black and white are those of the encoding, not of the image."""
    assert applied(grey(values, dtype), step="scale").ravel().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_scale_refuses_types_without_black_and_white(dtype):
    """It says what to do instead."""
    with pytest.raises(BadData, match="do not say what is black") as caught:
        applied(grey([-5, 700], dtype), step="scale")
    assert "percentiles" in caught.value.remedy


def test_scale_with_limits_does_not_wrap_around():
    """Unsigned pixels below the lower limit become 0."""
    pixels = applied(grey([0, 100, 200, 255], np.uint8), step="scale", low=100, high=200)

    assert pixels.ravel().tolist() == [0, 0, 1, 1]


def test_percentiles_are_those_of_the_image():
    """A 12-bit image fills the scale; its outliers are clipped."""
    pixels = applied(grey([*range(1000), 4095], np.uint16), step="percentiles", low_percent=0, high_percent=99)

    assert (pixels.min(), pixels.max()) == (0, 1)
    assert pixels.ravel()[495] == pytest.approx(0.5, abs=0.01)


def test_an_image_of_one_value_becomes_black():
    """There is nothing to stretch, and no division by zero."""
    assert not applied(grey([7, 7], np.uint8), step="percentiles").any()


def test_grayscale_weighs_red_green_and_blue():
    """White stays white, and the type stays."""
    image = Image(np.array([[[255, 255]], [[255, 0]], [[255, 0]]], dtype=np.uint8))  # (3, 1, 2): white, red
    pixels = applied(image, step="grayscale")

    assert pixels.tolist() == [[[255, 76]]]
    assert pixels.dtype == np.uint8
    with pytest.raises(BadData, match="2 channels"):
        applied(Image(np.zeros((2, 4, 4))), step="grayscale")


def test_grey_becomes_red_green_and_blue():
    """Of the same value and type; a picture in colour stays as it is."""
    colour = Image(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))

    assert applied(grey([1, 2], np.uint8), step="rgb").tolist() == [grey([1, 2], np.uint8).pixels[0].tolist()] * 3
    np.testing.assert_array_equal(applied(colour, step="rgb"), colour.pixels)
    with pytest.raises(BadData, match="2 channels"):
        applied(Image(np.zeros((2, 4, 4))), step="rgb")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"step": "windo"}, "no step called 'windo'"),
        ({"step": "window", "low": 1}, "unknown key 'low'; did you mean 'low_hu'"),
        ({"step": "window", "low_hu": 500}, "the lower limit 500 is not below the upper limit 400"),
        ({"step": "scale", "low": 2, "high": 1}, "not below"),
        ({"step": "percentiles", "high_percent": 101}, "high_percent"),
        ({"low_hu": 1}, "needs its name"),
        ({"step": "resize", "height_px": 0, "width_px": 2}, "height_px"),
    ],
)
def test_a_misspelt_step_is_explained(content, message):
    """The nearest name is offered."""
    with pytest.raises(BadSpec) as caught:
        build_step(content)
    assert message in str(caught.value)


def test_clahe_evens_out_contrast_up_to_its_limit():
    """A faint pattern becomes stronger, less so with a lower limit; 8 bits, 16 bits and floats are taken."""
    rng = np.random.default_rng(0)
    pixels = (rng.normal(120, 4, (1, 64, 64)).round()).astype(np.uint8)
    mild, strong = (applied(Image(pixels), step="clahe", clip=clip).std() for clip in (1.5, 8.0))

    assert pixels.std() < mild < strong
    assert applied(Image(pixels.astype(np.uint16) * 256), step="clahe").dtype == np.uint16
    assert applied(Image(pixels / 255), step="clahe").max() <= 1
    with pytest.raises(BadData, match="CLAHE needs"):
        applied(Image(pixels.astype(np.float32)), step="clahe")


def test_scale_refuses_a_lower_limit_beyond_the_type():
    """All pixels would be white, or divided by nothing."""
    for low in (255, 300):
        with pytest.raises(BadData, match="end at 255") as caught:
            applied(grey([0, 255], np.uint8), step="scale", low=low)
        assert "both low and high" in caught.value.remedy
