"""Steps that change rows and columns: the pixels and where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def ramp(shape=(1, 6, 8), dtype=np.int16):
    """An image whose pixels all differ, with a geometry."""
    geometry = Geometry(spacing_mm=(0.5, 0.25), origin_mm=(10.0, 20.0, 30.0), direction=AXIAL)
    return Image(np.arange(np.prod(shape), dtype=dtype).reshape(shape), geometry)


def centre_mm(image):
    """Where the middle of the image lies along x and y."""
    height, width = image.space
    row_mm, column_mm = image.geometry.spacing_mm
    x, y, _ = image.geometry.origin_mm
    return x + (width - 1) / 2 * column_mm, y + (height - 1) / 2 * row_mm


def test_shrinking_averages_areas():
    """Half the size is the mean of two by two pixels."""
    image = ramp()
    pixels = build_step({"step": "resize", "height_px": 3, "width_px": 4})(image).pixels

    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, image.pixels.reshape(1, 3, 2, 4, 2).mean(axis=(2, 4)))


def test_shrinking_lets_no_fine_pattern_alias():
    """A chequerboard becomes even grey."""
    board = np.indices((64, 64)).sum(axis=0)[None] % 2
    pixels = build_step({"step": "resize", "height_px": 16, "width_px": 16})(Image(board)).pixels

    np.testing.assert_allclose(pixels, 0.5, atol=1e-6)


def test_one_axis_may_shrink_while_the_other_grows():
    """Each axis is treated by what happens to it; a mean stays a mean."""
    resized = build_step({"step": "resize", "height_px": 3, "width_px": 16})(ramp())

    assert resized.space == (3, 16)
    assert resized.pixels.mean() == pytest.approx(ramp().pixels.mean(), rel=1e-3)


@pytest.mark.parametrize("size", [(3, 4), (12, 16), (5, 3)])
def test_resizing_keeps_extent_and_centre(size):
    """The image covers the same millimetres as before."""
    image = ramp()
    resized = build_step({"step": "resize", "height_px": size[0], "width_px": size[1]})(image)
    extent = [n * mm for n, mm in zip(resized.space, resized.geometry.spacing_mm, strict=True)]

    assert extent == pytest.approx([3.0, 2.0])
    assert centre_mm(resized) == pytest.approx(centre_mm(image))


@pytest.mark.parametrize("size", [(4, 4), (10, 12), (4, 12)])
def test_padding_and_cropping_keep_the_middle(size):
    """Even differences leave the centre where it was; padding has the value asked for."""
    image = ramp()
    changed = build_step({"step": "pad_crop", "height_px": size[0], "width_px": size[1], "value": -7})(image)

    assert changed.space == size
    assert changed.pixels.dtype == image.pixels.dtype
    assert centre_mm(changed) == pytest.approx(centre_mm(image))
    assert (changed.pixels == -7).sum() == np.prod(size) - min(size[0], 6) * min(size[1], 8)


def test_a_padding_value_that_the_type_cannot_hold_is_refused():
    """-1000 HU do not fit into unsigned pixels."""
    with pytest.raises(BadData, match="cannot hold the padding value -1000"):
        build_step({"step": "pad_crop", "height_px": 9, "width_px": 9, "value": -1000})(ramp(dtype=np.uint8))


def test_an_origin_that_cannot_be_followed_is_forgotten():
    """Without a direction nobody knows where a shifted image lies."""
    geometry = Geometry(spacing_mm=(1.0, 1.0), origin_mm=(0.0, 0.0, 0.0))
    cropped = build_step({"step": "pad_crop", "height_px": 2, "width_px": 2})(Image(np.zeros((1, 6, 6)), geometry))

    assert cropped.geometry.origin_mm is None


def test_volumes_are_resized_slice_by_slice():
    """The spacing between slices stays."""
    volume = Image(np.zeros((1, 5, 6, 8)), Geometry(spacing_mm=(2.0, 0.5, 0.25)))
    resized = build_step({"step": "resize", "height_px": 3, "width_px": 4})(volume)

    assert resized.space == (5, 3, 4)
    assert resized.geometry.spacing_mm == (2.0, 1.0, 0.5)


def test_a_canvas_leaves_the_image_alone():
    """Its pixels stay in the upper left corner, its place in the patient too; the rest is -1."""
    image = ramp(dtype=np.float32)
    canvas = build_step({"step": "canvas", "height_px": 7, "width_px": 11})(image)

    np.testing.assert_array_equal(canvas.pixels[:, :6, :8], image.pixels)
    assert (canvas.pixels[:, 6:] == -1).all()
    assert (canvas.pixels[:, :, 8:] == -1).all()
    assert canvas.geometry == image.geometry


def test_what_a_canvas_cannot_hold_is_refused():
    """An image that is larger, or whose grey values would be taken for what lies outside."""
    with pytest.raises(BadData, match="6 × 8 pixels does not fit a canvas of 6 × 7"):
        build_step({"step": "canvas", "height_px": 6, "width_px": 7})(ramp())
    with pytest.raises(BadData, match="taken for what lies outside"):
        build_step({"step": "canvas", "height_px": 8, "width_px": 8})(Image(ramp().pixels - np.int16(1)))
