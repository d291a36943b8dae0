from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from grandrounds.features.lbp import RINGS, lbp_codes, lbp_histograms

SIDE_PX = 32


def patches():
    """Noise, few grey levels, gratings, chequers and flat patches: 400 whose codes are decided by little."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[:SIDE_PX, :SIDE_PX]
    angle, period_px = random.uniform(0, np.pi, (80, 1, 1)), random.uniform(2, 40, (80, 1, 1))
    wave = np.cos(2 * np.pi * (row * np.sin(angle) + column * np.cos(angle)) / period_px)
    down, right = random.integers(1, 9, (2, 80, 1, 1))
    return np.concatenate(
        [
            random.integers(0, 256, (80, SIDE_PX, SIDE_PX)),
            random.integers(100, 103, (80, SIDE_PX, SIDE_PX)),
            np.rint(127 + 100 * wave).astype(int),
            (row // down + column // right) % 2 * random.integers(1, 256, (80, 1, 1)),
            np.broadcast_to(random.integers(0, 256, (80, 1, 1)), (80, SIDE_PX, SIDE_PX)),
        ]
    ).astype(np.int32)


@pytest.mark.parametrize(("n_points", "radius"), RINGS)
def test_every_code_is_scikit_images(n_points, radius):
    """No pixel of 400 patches gets another code, not even where rounding decides."""
    images = patches()
    expected = np.stack([local_binary_pattern(one, n_points, radius, method="uniform") for one in images])

    assert len(images) == 400
    assert np.array_equal(lbp_codes(images, n_points, radius), expected)


def test_oblong_images_too():
    """Rows and columns are not confused."""
    images = np.random.default_rng(1).integers(0, 256, (3, 11, 29))
    expected = np.stack([local_binary_pattern(one, 24, 3, method="uniform") for one in images])

    assert np.array_equal(lbp_codes(images, 24, 3), expected)


def test_large_images_are_done_in_blocks():
    """An image has the same histograms alone as among others that do not fit into one block."""
    images = np.random.default_rng(2).random((5, 1, 600, 700), dtype=np.float32)

    assert np.array_equal(lbp_histograms(images)[3:4], lbp_histograms(images[3:4]))
