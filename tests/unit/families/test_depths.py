"""Volumes of several depths on one canvas: networks of slices read the slices that are there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families import input_layer
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.image import Image
from grandrounds.nets.slices import Slices
from grandrounds.prepare import Pipeline, build_step
from grandrounds.shapes import OUTSIDE
from grandrounds.training import augment
from grandrounds.training.canvas import changed_inside, outside_slices
from grandrounds.training.spec import TrainingSpec

SIDE = 16
QUICK = {"of": {"width": 0.125}, "batch_size": 8, "learning_rate": 3e-3, "n_features": 16, "shift": 0.1}


def exams(n, seed, n_slices=12):
    """Noise of 2 to 8 slices on a canvas; in class 1, one slice anywhere has a bright spot of a fixed place."""
    view = noise_view((1, n_slices, SIDE, SIDE), n, 2, seed)
    pixels = 0.2 * noise_view((1, 8, SIDE, SIDE), n, 2, seed).pixels
    canvas = np.full_like(view.pixels, OUTSIDE)
    for row, label in enumerate(view.labels):
        random = np.random.default_rng([seed, row])
        depth = random.integers(2, 9)
        pixels[row, 0, random.integers(depth), 5:10, 5:10] += 0.8 * label
        canvas[row, :, :depth] = pixels[row, :, :depth]
    return dataclasses.replace(view, pixels=canvas, flips=False)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_learns_from_exams_of_several_depths(pooling):
    """Whichever slice shows it; how long the canvas is makes no difference to what is trained and predicted."""
    long, short = (
        {part: exams(n, seed, n_slices) for part, n, seed in (("train", 48, 1), ("valid", 24, 2), ("test", 40, 3))}
        for n_slices in (12, 9)
    )
    params = QUICK | {"pooling": pooling, "shift": 0.0}
    fitted = families.build("slices:resnet-18", params).fit(
        long["train"], long["valid"], Budget(epochs=10), 0, lambda _: None
    )
    probs = fitted.predict(long["test"])
    tight = dataclasses.replace(fitted, shape=(1, 9, SIDE, SIDE)).predict(short["test"])

    assert np.mean(probs.argmax(axis=1) == long["test"].labels) > 0.8
    np.testing.assert_allclose(probs, tight, atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_slices_that_are_not_there_change_nothing_and_are_never_read(pooling):
    """Three slices among five places decide as three slices alone, and the network sees three planes."""
    seen = []
    network = torch.nn.Flatten()
    network.register_forward_hook(lambda _module, given, _out: seen.append(len(given[0])))
    module = Slices(network, 4, 2, pooling).eval()
    volumes = torch.rand(2, 1, 5, 2, 2)
    alone = module(volumes[:, :, :3])
    volumes[:, :, 3:] = torch.nan

    assert torch.allclose(module(volumes), alone, atol=1e-6)
    assert seen == [6, 6]


def test_means_of_the_input_are_those_of_the_slices_that_are_there():
    """The canvas does not count."""
    pixels = exams(30, 1).pixels
    layer = input_layer.fitted("channel", pixels, canvas=True)

    assert float(layer.mean) == pytest.approx(pixels[pixels != OUTSIDE].mean(), rel=1e-5)
    assert float(layer.sd) == pytest.approx(pixels[pixels != OUTSIDE].std(), rel=1e-5)


def test_nothing_from_outside_comes_in_when_a_volume_is_moved():
    """A shift along the depth brings mirrored slices in, and what was outside stays there."""
    volumes = torch.from_numpy(exams(20, 1).pixels)
    spec = TrainingSpec(shift=0.3, rotate_deg=10, zoom=0.2, elastic=0.03)
    changes = augment.draw(tuple(volumes.shape[2:]), 20, spec, torch.Generator().manual_seed(0), flips=True)
    moved = changed_inside(volumes, lambda images: augment.apply(images, changes))
    outside = outside_slices(volumes)

    assert torch.equal(outside_slices(moved), outside)
    assert moved.movedim(1, 2)[~outside].min() >= 0
    assert not torch.equal(moved, volumes)


def test_a_canvas_takes_volumes_of_several_depths():
    """They fill its first slices unchanged; one that is deeper is refused with the numbers."""
    step = build_step({"step": "canvas", "depth_px": 6, "height_px": 4, "width_px": 4})
    pixels = np.random.default_rng(0).random((1, 5, 4, 4), dtype=np.float32)
    done = Pipeline(each=(step,))(Image(pixels))

    np.testing.assert_array_equal(done[:, :5], pixels)
    assert (done[:, 5:] == OUTSIDE).all()
    with pytest.raises(BadData, match="7 × 4 × 4 pixels does not fit a canvas of 6 × 4 × 4"):
        step(Image(np.zeros((1, 7, 4, 4), np.float32)))
    with pytest.raises(BadData, match="this is a plane"):
        step(Image(np.zeros((1, 4, 4), np.float32)))


def test_a_canvas_has_at_least_one_slice():
    """Zero slices are no volume."""
    with pytest.raises(BadSpec):
        build_step({"step": "canvas", "depth_px": 0, "height_px": 4, "width_px": 4})
