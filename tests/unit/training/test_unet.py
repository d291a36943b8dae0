"""The U-Net behind lung masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed")

from grandrounds.training import unet
from grandrounds.training.unet import Pass, Section, UNetSpec

SPEC = UNetSpec(channels=(4, 8, 8, 8), epochs=25, batch_size=4, learning_rate=1e-2)


def sections(n, seed):
    """Boxes of lung in a body, at random places."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        hu, lungs = np.full((80, 110), 40.0), np.zeros((80, 110), dtype=np.bool_)
        top, left = rng.integers(10, 25), rng.integers(10, 20)
        lungs[top : top + 40, left : left + 30] = lungs[top : top + 40, left + 45 : left + 75] = True
        hu[lungs] = -850
        made.append(Section(hu + rng.normal(0, 20, hu.shape), lungs, 3.0))
    return made


def trained(seed=0):
    *passes, network = unet.fitted(sections(8, 0), SPEC, seed, threads=1)
    assert [one.epoch for one in passes if isinstance(one, Pass)] == list(range(1, SPEC.epochs + 1))
    return network


def test_it_finds_what_it_was_shown_at_any_pixel_size():
    """Sections of half the pixel size and another shape are brought to what the network reads, and back."""
    network = trained()
    one = sections(1, 9)[0]
    fine = np.kron(one.hu, np.ones((2, 2)))[None, :, :-6]  # an odd width, at 1.5 mm
    found = unet.lungs_by(network, fine, (1.5, 1.5), SPEC.pixel_mm)[0]
    truth = np.kron(one.lungs, np.ones((2, 2), dtype=np.bool_))[:, :-6]

    assert found.shape == truth.shape
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_the_same_seed_gives_the_same_weights():
    """Training is repeatable to the last bit on one number of threads."""
    one, other = trained().state_dict(), trained().state_dict()

    assert all(torch.equal(one[name], other[name]) for name in one)
