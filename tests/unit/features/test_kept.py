from __future__ import annotations

import numpy as np

from grandrounds.features.kept import kept

PIXELS = np.random.default_rng(0).random((6, 1, 4, 4), dtype=np.float32)


def counting():
    """Features that are easy to check, and how many images each call was asked about."""
    asked = []

    def compute(pixels):
        asked.append(len(pixels))
        return np.stack([pixels.mean(axis=(1, 2, 3)), pixels.max(axis=(1, 2, 3))], axis=1)

    return compute, asked


def test_no_image_is_computed_twice(tmp_path):
    """Whatever the order and the company, an image that is known is looked up."""
    compute, asked = counting()
    first = kept(tmp_path, "a", PIXELS[:4], compute)
    second = kept(tmp_path, "a", PIXELS[[5, 2, 0, 4, 5]], compute)

    assert asked == [4, 2]
    assert np.array_equal(first, counting()[0](PIXELS[:4]))
    assert np.array_equal(second, counting()[0](PIXELS[[5, 2, 0, 4, 5]]))


def test_other_settings_are_computed_anew(tmp_path):
    """Features of another key are not looked at, and a damaged file is as none."""
    compute, asked = counting()
    kept(tmp_path, "a", PIXELS, compute)
    kept(tmp_path, "b", PIXELS, compute)
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (b"half", whole[: len(whole) // 2], b""):
        (tmp_path / "a.npz").write_bytes(damaged)
        kept(tmp_path, "a", PIXELS, compute)

    assert asked == [6, 6, 6, 6, 6]


def test_nothing_is_kept_without_a_folder():
    """A view without a cache computes all of its images."""
    compute, asked = counting()
    assert np.array_equal(kept(None, "a", PIXELS, compute), kept(None, "a", PIXELS, compute))
    assert asked == [6, 6]
