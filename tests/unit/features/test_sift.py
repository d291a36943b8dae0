from __future__ import annotations

import cv2
import numpy as np
import pytest

from grandrounds.features.sift import sift_descriptors


@pytest.fixture
def images():
    return np.random.default_rng(0).random((3, 1, 32, 32), dtype=np.float32)


def test_the_centre_is_the_only_key_point(images):
    """It is OpenCV's descriptor at the centre, in a window as large as the image."""
    grey = np.rint(images[0, 0] * 255).astype(np.uint8)
    centre = cv2.KeyPoint(x=15.5, y=15.5, size=32 / 6, angle=0)
    _, expected = cv2.SIFT.create(sigma=1.0).compute(grey, [centre])

    assert sift_descriptors(images).shape == (3, 128)
    assert np.array_equal(sift_descriptors(images)[0], expected[0])


def test_a_grid_describes_its_parts_in_order(images):
    """Only the descriptors near a change see it: rows first, then columns."""
    changed = images.copy()
    changed[:, :, :6, -6:] = 0  # the upper right corner
    before, after = (sift_descriptors(one, grid=4).reshape(3, 4, 4, 128) for one in (images, changed))
    differs = (before != after).any(axis=(0, 3))

    assert differs[0, 3]
    assert not differs[2:].any()
    assert not differs[:, :2].any()


def test_it_is_upright():
    """Stripes along and across get different descriptors, and stay apart by a quarter turn."""
    stripes = np.tile(np.arange(32) // 4 % 2, (32, 1)).astype(np.float32)[None, None]
    along, across = sift_descriptors(stripes), sift_descriptors(stripes.transpose(0, 1, 3, 2))
    directions = along.reshape(16, 8).sum(axis=0), across.reshape(16, 8).sum(axis=0)

    assert directions[0][[0, 4]].sum() > 0.9 * directions[0].sum()
    assert directions[1][[2, 6]].sum() > 0.9 * directions[1].sum()


def test_flat_and_odd_grey_values_are_described():
    """A flat image has no direction, and values beyond the range are cut."""
    assert not sift_descriptors(np.full((1, 1, 16, 16), 0.5, np.float32)).any()
    assert np.isfinite(sift_descriptors(100 * np.random.default_rng(0).normal(size=(2, 3, 20, 24)))).all()
