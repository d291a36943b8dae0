from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from grandrounds.features.lbp import lbp_histograms


@pytest.fixture
def images():
    return np.random.default_rng(0).random((4, 1, 32, 32), dtype=np.float32)


def test_equals_scikit_image(images):
    """The 54 numbers are the histograms of scikit-image's codes."""
    grey = np.rint(images[0, 0] * 255).astype(np.int32)
    codes = [local_binary_pattern(grey, n, r, method="uniform") for n, r in ((8, 1), (16, 2), (24, 3))]
    counts = [
        np.bincount(code.astype(int).ravel(), minlength=n + 2) for code, n in zip(codes, (8, 16, 24), strict=True)
    ]

    assert np.allclose(lbp_histograms(images)[0], np.concatenate(counts) / 32**2)


def test_quarter_turn_changes_nothing(images):
    """The patterns do not depend on how the image is turned."""
    turned = np.rot90(images, axes=(2, 3))

    assert np.allclose(lbp_histograms(images), lbp_histograms(turned), atol=0.01)


def test_cells_average_to_the_whole(images):
    """Four equal cells have histograms whose mean is that of the whole image."""
    whole, cells = lbp_histograms(images), lbp_histograms(images, cells=2)
    rings = np.split(cells, np.cumsum([4 * 10, 4 * 18]), axis=1)
    means = [ring.reshape(4, 4, -1).mean(axis=1) for ring in rings]

    assert cells.shape == (4, 4 * 54)
    assert np.allclose(np.concatenate(means, axis=1), whole, atol=1e-6)
