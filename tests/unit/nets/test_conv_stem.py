from __future__ import annotations

import numpy as np
import pytest
import torch

from grandrounds import families
from grandrounds.errors import BadSpec
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.nets.conv_stem import ConvStem

ODD = noise_view((1, 28, 28), 12, 2)  # sides that 7 divides and 8 does not


@pytest.mark.parametrize("n_halvings", [1, 2, 3])
def test_each_convolution_halves_the_sides(n_halvings):
    """A pixel of the maps stands for as many pixels as a patch would."""
    maps = ConvStem(1, n_halvings, 48)(torch.zeros(2, 1, 32, 48))

    assert maps.shape == (2, 48, 32 // 2**n_halvings, 48 // 2**n_halvings)


@pytest.mark.parametrize("name", ["vit-tiny", "deit-tiny"])
def test_transformers_train_behind_convolutions(name, tmp_path):
    """With as many tokens as patches, saved and loaded; a patch that is no power of two is refused."""
    view = noise_view((1, 16, 16), 12, 2)
    small = {"dim": 48, "depth": 1, "stem": "convolutions"}
    fitted = families.build(name, small | {"patch_px": 4}).fit(view, view, Budget(), 0, lambda _: None)
    fitted.save(tmp_path)

    assert "16 patches of 4 px behind convolutions" in fitted.record.notes[0]
    assert np.array_equal(families.load(name, tmp_path).predict(view), fitted.predict(view))
    with pytest.raises(BadSpec, match="patches of 7 pixels"):
        families.build(name, small | {"patch_px": 7}).fit(ODD, ODD, Budget(), 0, lambda _: None)


def test_the_nearest_patch_is_one_that_convolutions_make():
    """Images of 28 pixels, whose patches would have 7, are read by 4 where nobody chose."""
    small = {"dim": 48, "depth": 1}
    notes = [
        families.build("vit-tiny", small | {"stem": stem}).fit(ODD, ODD, Budget(), 0, lambda _: None).record.notes[0]
        for stem in ("patches", "convolutions")
    ]

    assert "16 patches of 7 px" in notes[0]
    assert "49 patches of 4 px" in notes[1]
