"""Refusals speak in full, seeds are stable, images know their shape."""

import pickle

import numpy as np
import pytest

from grandrounds import seeds
from grandrounds.errors import BadData, Leak
from grandrounds.image import Image


def test_a_refusal_says_what_where_and_what_to_do():
    """Three lines, in that order."""
    text = str(BadData("the file is empty", where="a.png", remedy="fetch it again"))

    assert text.splitlines() == ["the file is empty", "  where:      a.png", "  what to do: fetch it again"]


def test_a_refusal_survives_the_way_home_from_a_worker():
    """Worker processes send their errors as copies."""
    error = pickle.loads(pickle.dumps(Leak("two sides", where="fold 1", remedy="regroup")))

    assert (type(error), error.what, error.where, error.remedy) == (Leak, "two sides", "fold 1", "regroup")


def test_seeds_do_not_change_between_versions():
    """These numbers were drawn once; a change of them would change every study."""
    assert seeds.derive(0, "augment", fold=3) == 194984378


def test_purposes_and_indices_are_independent():
    """Ten thousand seeds have no more collisions than chance allows."""
    drawn = [seeds.derive(root, purpose, fold=fold) for root in range(50) for purpose in "ab" for fold in range(100)]

    assert len(set(drawn)) >= 9_990


def test_an_image_has_channels():
    """A bare plane is refused with the shape that it has."""
    with pytest.raises(BadData, match=r"\(4, 5\)"):
        Image(np.zeros((4, 5)))


def test_not_a_number_is_seen():
    """One bad pixel makes an image not finite."""
    pixels = np.zeros((1, 4, 4), np.float32)
    assert Image(pixels).is_finite
    pixels[0, 1, 1] = np.nan
    assert not Image(pixels).is_finite
