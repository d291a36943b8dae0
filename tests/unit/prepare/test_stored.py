"""Rows of a file of prepared volumes: chosen without being read, read as they lie there."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.errors import BadData
from grandrounds.prepare import PreparedArray


@pytest.fixture
def volumes(tmp_path):
    """Seven volumes on the disk, and their pixels."""
    pixels = np.random.default_rng(0).random((7, 2, 3, 4, 5), dtype=np.float32)
    np.save(tmp_path / "volumes.npy", pixels)
    return PreparedArray.load(tmp_path / "volumes.npy"), pixels


@pytest.mark.parametrize(
    "which",
    [slice(1, 6, 2), np.array([3, 0, 3]), np.array([True, False, True, False, False, True]), slice(0, 0)],
    ids=["slice", "index", "mask", "none"],
)
def test_an_index_chooses_as_in_an_array(volumes, which):
    """Twice over, and in any order."""
    prepared, pixels = volumes
    rows = np.array([6, 2, 4, 0, 1, 5])
    chosen = prepared.chosen(rows)[which]

    assert not isinstance(chosen, np.ndarray)
    assert chosen.shape == pixels[rows][which].shape
    assert len(chosen) == len(rows[which])
    np.testing.assert_array_equal(np.asarray(chosen), pixels[rows][which])


def test_planes_are_read_at_once(tmp_path):
    """They are small, and families want all of them."""
    pixels = np.ones((3, 1, 4, 4), np.float32)
    np.save(tmp_path / "planes.npy", pixels)

    assert isinstance(PreparedArray.load(tmp_path / "planes.npy").chosen(np.array([2, 0])), np.ndarray)


def test_a_file_that_was_cut_off_is_refused(volumes):
    """Nothing is made up for pixels that are gone."""
    prepared, _ = volumes
    chosen = prepared.chosen(np.arange(7))
    with prepared.path.open("r+b") as file:
        file.truncate(prepared.path.stat().st_size - 4)

    with pytest.raises(BadData, match="end early"):
        np.asarray(chosen)
