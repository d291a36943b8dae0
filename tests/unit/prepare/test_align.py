"""Rigid alignment of an exam's series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from grandrounds.errors import BadData
from grandrounds.image import Geometry, Image
from grandrounds.prepare.align import align

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
PLACE = Geometry((3.0, 2.0, 2.0), (-40.0, -40.0, -30.0), AXIAL)


def head():
    """A smooth thing of several parts, (24, 40, 40)."""
    z, y, x = np.mgrid[:24, :40, :40].astype(float)
    pixels = np.zeros(z.shape)
    for cz, cy, cx, size, value in (
        (12, 20, 20, 12, 300),
        (9, 14, 25, 4, 500),
        (15, 26, 14, 5, -250),
        (12, 12, 13, 3, 400),
    ):
        pixels += value * np.exp(-(((z - cz) * 1.5) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) / (2 * size**2))
    return pixels.astype(np.float32)


def test_a_series_that_was_moved_comes_back():
    """Shifted and turned by known amounts and of another contrast, it correlates as before the motion; bits repeat."""
    fixed = head()
    turn = Rotation.from_euler("z", 6, degrees=True).as_matrix()[::-1, ::-1]  # in the order of the array's axes
    to_mm = np.diag(PLACE.spacing_mm)
    matrix = np.linalg.inv(to_mm) @ turn @ to_mm
    centre = (np.array(fixed.shape) - 1) / 2
    shifted = ndimage.affine_transform(fixed, matrix, centre - matrix @ centre + (0.5, 2.0, -1.5), order=1)
    moving = Image((500 - shifted)[None], PLACE)  # what is bright in one is dark in the other
    once, again = align(moving, Image(fixed[None], PLACE)), align(moving, Image(fixed[None], PLACE))
    inner = (slice(4, -4), slice(6, -6), slice(6, -6))
    before = np.corrcoef(shifted[inner].ravel(), fixed[inner].ravel())[0, 1]
    after = np.corrcoef(500 - once.pixels[0][inner].ravel(), fixed[inner].ravel())[0, 1]

    assert before < 0.97
    assert after > 0.995
    assert once.geometry == PLACE
    assert once.pixels.dtype == np.float32
    np.testing.assert_array_equal(once.pixels, again.pixels)


def test_another_grid_is_sampled_onto_the_fixed_one():
    """Where the headers agree already, a finer series lands on the coarse one's pixels."""
    fine = Image(head()[None], PLACE)
    coarse = Image(head()[None, :, ::2, ::2], Geometry((3.0, 4.0, 4.0), PLACE.origin_mm, AXIAL))
    done = align(fine, coarse)

    assert done.space == coarse.space
    assert np.corrcoef(done.pixels.ravel(), coarse.pixels.ravel())[0, 1] > 0.99


def test_series_without_a_place_are_refused():
    """MRNet's arrays carry none; the message says what to do instead."""
    with pytest.raises(BadData, match="how they lie") as caught:
        align(Image(head()[None]), Image(head()[None], PLACE))
    assert "in its own plane" in caught.value.remedy
    with pytest.raises(BadData, match="volumes of 4 slices"):
        align(Image(head()[:, :1].transpose(1, 0, 2)), Image(head()[None], PLACE))
