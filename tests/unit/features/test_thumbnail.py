from __future__ import annotations

import cv2
import numpy as np
import pytest

from grandrounds.features.thumbnail import thumbnails


@pytest.mark.parametrize("shape", [(32, 32), (28, 28), (50, 37)])
def test_equals_opencv_area(shape):
    """Each thumbnail is OpenCV's area resize."""
    images = np.random.default_rng(0).random((3, 1, *shape), dtype=np.float32)
    expected = [cv2.resize(image[0], (8, 8), interpolation=cv2.INTER_AREA).ravel() for image in images]

    assert np.allclose(thumbnails(images), expected, atol=1e-5)


def test_a_volume_has_the_thumbnail_of_its_mean_slice():
    """However it is read."""
    volumes = np.random.default_rng(0).random((3, 2, 5, 16, 12), dtype=np.float32)

    assert np.allclose(thumbnails(volumes), thumbnails(volumes.mean(axis=2)), atol=1e-6)


def test_smaller_than_the_thumbnail():
    """An image smaller than the thumbnail is spread out, and keeps its mean."""
    images = np.random.default_rng(0).random((2, 3, 5, 5), dtype=np.float32)

    assert np.allclose(thumbnails(images).mean(axis=1), images.mean(axis=(1, 2, 3)), atol=1e-5)
