"""Networks of planes that read the slices of volumes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.description import describe
from grandrounds.families.price import noise_view, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.nets.slices import Slices
from grandrounds.shapes import OUTSIDE

SPACE = (6, 16, 16)
QUICK = {"of": {"width": 0.125}, "batch_size": 8, "learning_rate": 3e-3, "shift": 0.0, "n_features": 16}


def volumes(n, seed):
    """Noise; in those of class 1, one slice anywhere has a bright spot of a fixed place."""
    view = noise_view((1, *SPACE), n, 2, seed)
    pixels = 0.2 * view.pixels
    for row in np.flatnonzero(view.labels == 1):
        pixels[row, 0, np.random.default_rng([seed, row]).integers(SPACE[0]), 5:10, 5:10] += 0.8
    return dataclasses.replace(view, pixels=pixels, flips=False)


TRAIN, VALID, TEST = volumes(48, 1), volumes(24, 2), volumes(40, 3)


def fitted(epochs=12, **params):
    family = families.build("slices:resnet-18", QUICK | params)
    return family.fit(TRAIN, VALID, Budget(epochs=epochs), 0, lambda _: None)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_finds_what_one_slice_shows(pooling):
    """Whichever slice shows it, the volume is told by it."""
    probs = fitted(pooling=pooling).predict(TEST)

    assert probs.shape == (40, 2)
    assert np.allclose(probs.sum(axis=1), 1)
    assert np.mean(probs.argmax(axis=1) == TEST.labels) > 0.8


def test_the_order_of_slices_does_not_matter():
    """Slices are a set: turned upside down, a volume has the same probabilities."""
    model = fitted(epochs=1)
    turned = dataclasses.replace(TEST, pixels=np.ascontiguousarray(TEST.pixels[:, :, ::-1]))

    assert np.allclose(model.predict(TEST), model.predict(turned), atol=1e-5)


def test_saves_and_loads(tmp_path):
    """What was saved decides as before, to the last bit, and says what it was made of."""
    model = fitted(epochs=1, pooling="attention")
    model.save(tmp_path)

    assert np.array_equal(families.load("slices:resnet-18", tmp_path).predict(TEST), model.predict(TEST))
    assert "attention over 6 slices, each read by: resnet18 at 0.125 of its width" in model.record.notes[0]


def test_attention_weights_sum_to_one():
    """A volume of equal slices has the features of one of them."""
    module = Slices(torch.nn.Flatten(), 4, 2, "attention").eval()
    plane = torch.rand(1, 1, 1, 2, 2)

    assert torch.allclose(module(plane.expand(1, 1, 5, 2, 2)), module(plane), atol=1e-6)


def test_reads_volumes_alone():
    """A study of planes refuses it by its axes, and its packages are those of the network."""
    entry = families.FAMILIES.get("slices:alexnet")

    assert (entry.dims, entry.smallest_px, entry.iterates) == ((3,), 63, True)
    assert entry.requires == families.FAMILIES.get("alexnet").requires


@pytest.mark.parametrize("name", ["lbp-svm", "thumbnail", "ensemble:li2014", "slices:resnet-18"])
def test_refuses_what_is_no_network_of_planes(name):
    """A support vector machine, a committee or a network of volumes has no features of a slice."""
    with pytest.raises(BadSpec, match="no network of planes"):
        families.FAMILIES.get(f"slices:{name}")


@pytest.mark.parametrize("name", ["googlenet", "deit-tiny"])
def test_refuses_networks_of_several_heads(name):
    """What is trained along in other heads has no place in the slices of a volume."""
    with pytest.raises(BadSpec, match="several heads"):
        families.build(f"slices:{name}").fit(TRAIN, VALID, Budget(), 0, lambda _: None)


def test_refuses_slices_that_are_too_small():
    """A network that needs 63 pixels says so of the slices, not of the volume."""
    with pytest.raises(BadData, match="63 pixels"):
        families.build("slices:alexnet").fit(TRAIN, VALID, Budget(), 0, lambda _: None)


def test_resizes_each_slice():
    """`side_px` enlarges the slices and leaves their number alone."""
    model = fitted(epochs=1, side_px=24)

    assert "resized to 24 × 24" in model.record.notes[0]
    assert model.predict(TEST).shape == (40, 2)


def test_a_named_network_of_timm_reads_slices():
    """Whatever timm has can be named."""
    model = families.build("slices:timm:resnet10t", {"batch_size": 8}).fit(TRAIN, VALID, Budget(), 0, lambda _: None)

    assert model.predict(TEST).shape == (40, 2)


def test_is_described_and_priced():
    """Its layers are those of the network and the head, and a pass has a price."""
    found = describe("slices:resnet-18", {}, (1, *SPACE), 2)
    one = describe("resnet-18", {}, (1, *SPACE[1:]), 64)

    assert found.n_multiply_adds == SPACE[0] * one.n_multiply_adds + 64 * 2
    assert time_batch("slices:resnet-18", QUICK, (1, *SPACE), 48, 8, 2, Budget()).seconds_per_epoch > 0


@pytest.mark.parametrize("kind", ["mean", "scale", "pca", "zca"])
def test_numbers_for_each_pixel_want_volumes_of_one_depth(kind):
    """What lies outside a volume would be taken for a part of it."""
    shallow = TRAIN.pixels.copy()
    shallow[::2, :, 3:] = OUTSIDE
    of_several = dataclasses.replace(TRAIN, pixels=shallow)
    family = families.build("slices:resnet-18", QUICK | {"input": kind})
    with pytest.raises(BadData, match="canvas of 6 slices") as caught:
        family.fit(of_several, VALID, Budget(epochs=1), 0, lambda _: None)
    assert '"channel"' in caught.value.remedy
