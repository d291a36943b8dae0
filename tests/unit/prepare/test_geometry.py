"""The geometry stays true: a landmark lies at the same place in the patient before and after each step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grandrounds.errors import BadData
from grandrounds.formats.reading import crop
from grandrounds.geometry import direction_of, moved, position_mm, turned
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step

OF_VOLUMES = [
    {"step": "resample", "spacing_mm": 1.1},
    {"step": "resample", "spacing_mm": [2.9, 0.8, 1.7]},
    {"step": "resize", "height_px": 17, "width_px": 31},
    {"step": "pad_crop", "height_px": 19, "width_px": 30, "depth_px": 15},
    {"step": "format_stack", "depth_px": 9, "height_px": 30, "width_px": 21},
    {"step": "format_stack", "depth_px": 14, "height_px": 30, "width_px": 21, "depth": "pad_crop", "plane": "pad_crop"},
    {"step": "reorient"},
    {"step": "reorient", "orientation": "SAR"},
    {"step": "mirror_side", "side": "right"},
    {"step": "otsu_crop", "remove": False},
    {"step": "center"},
]
OF_PLANES = [
    {"step": "resample", "spacing_mm": 1.1},
    {"step": "resample", "spacing_mm": [0.8, 1.7]},
    {"step": "resize", "height_px": 17, "width_px": 31},
    {"step": "pad_crop", "height_px": 19, "width_px": 30},
    {"step": "mirror_side", "side": "right"},
    {"step": "otsu_crop", "remove": False},
    {"step": "center"},
]


def landmark(space, spacing, origin, rotation, place):
    """An image that is dark but for a smooth spot, lying anyhow in the patient."""
    axes = Rotation.from_rotvec(rotation).as_matrix()[: len(space)]
    grid = np.indices(space)
    centre = [2 + part * (length - 5) for part, length in zip(place, space, strict=False)]
    far = sum(((axis - at) / 1.2) ** 2 for axis, at in zip(grid, centre, strict=True))
    geometry = Geometry(tuple(spacing[: len(space)]), tuple(origin), direction_of(axes))
    return Image(np.exp(-far / 2)[None].astype(np.float32), geometry, header={"side": "left"})


def where_mm(image):
    """Where the spot lies in the patient."""
    grey = image.pixels[0] * (image.pixels[0] > 0.05 * image.pixels[0].max())
    index = [float((axis * grey).sum() / grey.sum()) for axis in np.indices(image.space)]
    return position_mm(image.geometry, index)


numbers = st.floats(-100, 100)
lying = {
    "spacing": st.tuples(*[st.floats(0.7, 2.0)] * 3),
    "origin": st.tuples(numbers, numbers, numbers),
    "rotation": st.tuples(*[st.floats(-3, 3)] * 3),
    "place": st.tuples(*[st.floats(0.3, 0.7)] * 3),
}


@pytest.mark.parametrize("content", OF_VOLUMES, ids=str)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(**lying)
def test_a_landmark_in_a_volume_stays_where_it_is(content, spacing, origin, rotation, place):
    """Within half a pixel, however the volume lies; the input is not changed, twice is the same."""
    image = landmark((13, 24, 27), spacing, origin, rotation, place)
    check(build_step(content), image)


@pytest.mark.parametrize("content", OF_PLANES, ids=str)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(**lying)
def test_a_landmark_in_a_plane_stays_where_it_is(content, spacing, origin, rotation, place):
    """As in volumes."""
    image = landmark((24, 27), spacing, origin, rotation, place)
    check(build_step(content), image)


def check(step, image):
    before, there = image.pixels.copy(), where_mm(image)
    done = step(image)
    half_mm = max(*image.geometry.spacing_mm, *done.geometry.spacing_mm) / 2

    assert np.linalg.norm(where_mm(done) - there) < half_mm
    assert done.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels, before)
    np.testing.assert_array_equal(step(image).pixels, done.pixels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"step": "resample", "spacing_mm": 1}, "needs the spacing"),
        ({"step": "reorient"}, "needs the direction"),
        ({"step": "mirror_side"}, "needs the direction"),
    ],
)
def test_steps_that_need_a_geometry_refuse_images_without(content, message):
    """And say what to do."""
    image = Image(np.zeros((1, 4, 5, 6), dtype=np.float32), header={"side": "left"})

    with pytest.raises(BadData, match=message) as caught:
        build_step(content)(image)
    assert caught.value.remedy


def test_a_place_is_forgotten_that_cannot_be_followed():
    """A volume of six cosines does not say where its next slice lies; a plane that is turned unknown has no origin."""
    six = Geometry((2.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))

    assert moved(six, first_px=(1, 0, 0), step_px=(1, 1, 1)).origin_mm is None
    assert moved(six, first_px=(0, 2, 3), step_px=(1, 1, 1)).origin_mm == (3.0, 2.0, 0.0)
    assert turned(Geometry((1.0, 1.0), (0.0, 0.0, 0.0)), (4, 4), order=(0, 1), flipped=(False, True)).origin_mm is None
    with pytest.raises(BadData, match="place of a pixel"):
        position_mm(six, (0, 0, 0))


def test_a_box_out_of_a_volume_keeps_its_place():
    """Patches of volumes are cut in every slice; a pixel inside is where it was."""
    image = landmark((5, 24, 27), (2.0, 1.0, 1.5), (3.0, 4.0, 5.0), (0.3, 0.2, 0.1), (0.5, 0.5, 0.5))
    cut = crop(image, (3, 4, 20, 22))

    assert cut.space == (5, 17, 18)
    np.testing.assert_allclose(position_mm(cut.geometry, (1, 2, 3)), position_mm(image.geometry, (1, 5, 7)))
