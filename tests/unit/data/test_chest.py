"""Simulated chests: what lung masks are learned from and judged on."""

from __future__ import annotations

import numpy as np
import pytest

from grandrounds.data.hrct_chest import ChestSpec, chests
from grandrounds.image import Geometry, Image
from grandrounds.prepare.lungs import lungs_of

SPEC = ChestSpec(n_patients=2, n_sections=2, seed=3)


@pytest.fixture(scope="module")
def sections():
    return list(chests(SPEC))


def test_the_same_spec_gives_the_same_sections(sections):
    """A model trained from a seed can be trained again."""
    again = next(iter(chests(SPEC)))

    np.testing.assert_array_equal(again.hu, sections[0].hu)
    np.testing.assert_array_equal(again.lungs, sections[0].lungs)


def test_patients_are_told_apart_by_seed_and_are_none_of_the_labelled_set(sections):
    """Their names say which simulation they come from."""
    assert {one.patient for one in sections} == {"SIM-CHEST-3-001", "SIM-CHEST-3-002"}


def test_a_threshold_misses_dense_disease_at_the_chest_wall():
    """Airless lung is as dense as the wall that it lies against: what thresholds cannot find is there to be found."""
    dense = list(chests(ChestSpec(n_patients=3, n_sections=2, seed=1, dense=True)))
    shares = []
    for one in dense:
        found = lungs_of(Image(one.hu[None], Geometry((one.pixel_mm,) * 2), unit="hu"))
        shares.append((found & one.lungs).sum() / one.lungs.sum())

    assert np.mean(shares) < 0.9
    assert all((one.hu[one.lungs] > -200).mean() > 0.02 for one in dense)
