"""Steps that turn an image: reorient and mirror."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.errors import BadData, BadSpec
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0)  # rows to the back, columns to the feet, slices to the left


def volume(direction):
    """A volume whose pixels all differ."""
    return Image(np.arange(2 * 3 * 4).reshape(1, 2, 3, 4), Geometry((3.0, 2.0, 1.0), (10.0, 20.0, 30.0), direction))


def test_an_axial_stack_from_the_feet_is_lps_already():
    """Nothing is done to it."""
    image = volume(AXIAL)
    done = build_step({"step": "reorient"})(image)

    np.testing.assert_array_equal(done.pixels, image.pixels)
    assert done.geometry == image.geometry


def test_a_sagittal_stack_becomes_axial():
    """Slices become columns, rows come upside down, no value changes."""
    image = volume(SAGITTAL)
    done = build_step({"step": "reorient"})(image)

    np.testing.assert_array_equal(done.pixels, image.pixels.transpose(0, 2, 3, 1)[:, ::-1])
    assert done.geometry.direction == AXIAL
    assert done.geometry.spacing_mm == (2.0, 1.0, 3.0)
    assert done.geometry.origin_mm == (10.0, 20.0, 26.0)


def test_turning_there_and_back_changes_nothing():
    """Every one of the orientations comes back as it was."""
    image = build_step({"step": "reorient"})(volume(SAGITTAL))
    for letters in ("RAI", "SPL", "ILA", "ASR"):
        there = build_step({"step": "reorient", "orientation": letters})(image)
        back = build_step({"step": "reorient"})(there)
        np.testing.assert_array_equal(back.pixels, image.pixels)
        assert back.geometry == image.geometry


@pytest.mark.parametrize("letters", ["LPP", "LP", "XYZ", "LRS"])
def test_letters_that_name_no_orientation_are_refused(letters):
    """Before any image is read."""
    with pytest.raises(BadSpec):
        build_step({"step": "reorient", "orientation": letters})


def test_a_plane_cannot_be_turned_out_of_its_plane():
    """It says so."""
    with pytest.raises(BadData, match="needs a volume"):
        build_step({"step": "reorient"})(Image(np.zeros((1, 4, 4))))


@pytest.mark.parametrize(("side", "mirrored"), [("left", True), ("L", True), ("right", False), ("R", False)])
def test_the_other_side_is_mirrored(side, mirrored):
    """A radiograph of a left knee looks like one of a right knee."""
    image = Image(np.arange(12).reshape(1, 3, 4), header={"side": side})
    done = build_step({"step": "mirror_side"})(image)

    np.testing.assert_array_equal(done.pixels, image.pixels[..., ::-1] if mirrored else image.pixels)


@pytest.mark.parametrize("header", [{}, {"side": ""}, {"side": "both"}])
def test_an_unknown_side_is_refused(header):
    """Nobody guesses."""
    with pytest.raises(BadData, match="left or a right side") as caught:
        build_step({"step": "mirror_side"})(Image(np.zeros((1, 3, 4)), header=header))
    assert "side" in caught.value.remedy


def test_a_volume_is_mirrored_between_left_and_right():
    """In a sagittal volume that is the order of the slices; a sagittal plane stays as it is."""
    image = volume(SAGITTAL)
    step = build_step({"step": "mirror_side", "side": "right"})
    left = Image(image.pixels, image.geometry, header={"side": "left"})
    plane = Image(image.pixels[:, 0], Geometry((2.0, 1.0), (10.0, 20.0, 30.0), SAGITTAL[:6]), header={"side": "left"})

    np.testing.assert_array_equal(step(left).pixels, image.pixels[:, ::-1])
    np.testing.assert_array_equal(step(plane).pixels, plane.pixels)
