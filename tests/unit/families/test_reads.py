"""How often the prepared volumes of exams are read from the disk while networks train."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.prepare import PreparedArray

PLANES = ("axial", "coronal")
QUICK = {"of": {"dropout": 0.0}, "batch_size": 4}


@dataclasses.dataclass(frozen=True)
class Counted:
    """Volumes that lie in the file of prepared images, and how often each of them has been read."""

    stored: object
    reads: collections.Counter

    @property
    def shape(self):
        """(N, C, D, H, W)."""
        return self.stored.shape

    def __len__(self):
        return len(self.stored)

    def __getitem__(self, which):
        return Counted(self.stored[which], self.reads)

    def __array__(self, dtype=None, copy=None):
        self.reads.update(self.stored.rows.tolist())
        return np.asarray(self.stored, dtype=dtype)


def on_the_disk(path, n_exams):
    """Return a view of exams of noise, each of two series, whose pixels lie in a file."""
    n = n_exams * len(PLANES)
    view = noise_view((1, 3, 16, 16), n, 2, kinds=PLANES)
    np.save(path, view.pixels)
    stored = PreparedArray.load(path).chosen(np.arange(n))
    return dataclasses.replace(view, pixels=Counted(stored, collections.Counter()))


def reads_of(name, params, epochs, folder):
    """Return how often each volume of train, and of valid, is read in a training of so many epochs."""
    train, valid = on_the_disk(folder / "train.npy", 12), on_the_disk(folder / "valid.npy", 6)
    families.build(name, params).fit(train, valid, Budget(epochs=epochs), 0, lambda _: None)
    assert (len(train.pixels.reads), len(valid.pixels.reads)) == (24, 12)  # all of them, none left out
    return set(train.pixels.reads.values()), set(valid.pixels.reads.values())


@pytest.mark.parametrize(("name", "params"), [("slices:spp", QUICK), ("exams:slices:spp", {"of": QUICK})])
def test_slices_are_read_once_an_epoch(name, params, tmp_path):
    """And once before, for the grey values' mean and spread, which the input layer takes; of valid, once an epoch."""
    assert reads_of(name, params, 3, tmp_path) == ({1 + 3}, {3})


def test_an_input_layer_that_learns_nothing_reads_nothing_before(tmp_path):
    """So the one reading before the first epoch is that of the input layer."""
    assert reads_of("slices:spp", QUICK | {"input": "half"}, 2, tmp_path) == ({2}, {2})


def test_members_of_a_fusion_read_once_an_epoch_too(tmp_path):
    """Four epochs are two for each training; what a member says, in the end or out of fold, is a reading more.

    Of two inner folds, an exam of train is in one and in the last training, which has all; valid is in all three.
    """
    of_train, of_valid = reads_of("fusion:slices:spp", {"of": QUICK, "n_parts": 2}, 4, tmp_path)

    assert of_train == {2 * (1 + 2) + 1}
    assert of_valid == {3 * 2 + 1}
