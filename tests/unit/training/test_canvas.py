"""Images of several sizes on one canvas are trained on and predicted at their own size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.image import Image
from grandrounds.prepare import build_step
from grandrounds.shapes import OUTSIDE
from grandrounds.training.canvas import by_size
from grandrounds.training.loop import drive, train
from grandrounds.training.losses import OfLabels
from grandrounds.training.plan import Labelled, Plan
from grandrounds.training.prediction import predict
from grandrounds.training.spec import TrainingSpec

SIZES = ((20, 20), (16, 28), (28, 18))
CANVAS = build_step({"step": "canvas", "height_px": 28, "width_px": 28})


def images(n=36):
    """Smooth and striped images of three sizes, each on the canvas, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(n) // 3 % 2
    alone = []
    for row, label in enumerate(labels):
        height, width = SIZES[row % 3]
        stripes = np.arange(width) % 2 * 0.4 * label
        alone.append((random.normal(0.4, 0.05, (1, height, width)) + stripes).clip(0, 1).astype(np.float32))
    return alone, np.stack([CANVAS(Image(one)).pixels for one in alone]), labels


class Noting(nn.Module):
    """A network for any size that notes what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown, self.learning = [], nn.Conv2d(1, 2, 3)

    def forward(self, images):
        """Return logits (B, 2)."""
        self.shown.append((self.training, tuple(images.shape), float(images.min())))
        return self.learning(images).amax(dim=(2, 3))


def test_images_are_told_by_their_size():
    """Each image is found with the rows and columns that it had."""
    alone, pixels, _ = images()
    groups = by_size(pixels)

    assert [group.space for group in groups] == sorted(SIZES)
    assert all(alone[row].shape[1:] == group.space for group in groups for row in group.rows)
    assert [group.space for group in by_size(np.zeros((4, 1, 5, 6), np.float32))] == [(5, 6)]


def test_a_batch_has_one_size_and_nothing_from_outside():
    """Every image is seen once in each pass, at its own size, and sizes take turns."""
    torch.manual_seed(0)
    _, pixels, labels = images()
    network, data = Noting(), Labelled(pixels, labels)
    plan = Plan(n_epochs=2, cap_s=None, seed=0, device="cpu", flips=True, loss=OfLabels(), any_size=True)
    spec = TrainingSpec(batch_size=5, shift=0.1, choose="last")
    drive(train(network, data, data, spec, plan, lambda *_: 0.5), lambda _: None)
    trained = [(shape, least) for training, shape, least in network.shown if training]
    order = [shape[2:] for shape, _ in trained]

    assert {space: sum(shape[0] for shape, _ in trained if shape[2:] == space) for space in SIZES} == dict.fromkeys(
        SIZES, 2 * 12
    )
    assert min(least for *_, least in network.shown) > OUTSIDE / 2
    assert order != sorted(order)


def test_prediction_is_that_of_each_image_alone():
    """Rows come in their order, whatever the sizes."""
    torch.manual_seed(0)
    alone, pixels, _ = images(7)
    network = Noting()
    together = predict(network, pixels, any_size=True)

    assert np.allclose(together, np.concatenate([predict(network, one[None]) for one in alone]), atol=1e-6)


def views():
    _, pixels, labels = images()
    return dataclasses.replace(noise_view((1, 28, 28), len(labels), 2), pixels=pixels, labels=labels)


def test_the_pyramid_learns_from_several_sizes(tmp_path):
    """Stripes are found in images of three sizes, the border of the canvas is not looked at, and it can be saved."""
    params = {"width": 8, "batch_size": 6, "shift": 0.0, "dropout": 0.0, "max_epochs": 12}
    fitted = families.build("spp", params).fit(views(), views(), Budget(epochs=12), 0, lambda _: None)
    probs = fitted.predict(views())
    fitted.save(tmp_path)

    assert (probs.argmax(axis=1) == views().labels).mean() > 0.9
    assert np.array_equal(families.load("spp", tmp_path).predict(views()), probs)
    channel = fitted.module.first.mean
    assert channel.item() == pytest.approx(np.mean([p[p != OUTSIDE].mean() for p in views().pixels]), abs=0.02)


def test_the_pyramid_learns_from_a_size_that_occurs_once():
    """As most sizes do, where nearly every image has one of its own."""
    alone, pixels, labels = images(9)
    pixels[0] = CANVAS(Image(alone[0][:, :18, :19])).pixels
    view = dataclasses.replace(noise_view((1, 28, 28), 9, 2), pixels=pixels, labels=labels)
    fitted = families.build("spp", {"width": 8, "batch_size": 2}).fit(view, view, Budget(epochs=2), 0, lambda _: None)

    assert np.isfinite(fitted.predict(view)).all()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"input": "zca"}, "images of one size, these have 3"),
        ({"levels": (5,)}, r"20 pixels a side, these are 16 × 18"),
    ],
)
def test_what_several_sizes_cannot_have_is_refused(params, said):
    """Numbers for each pixel need one size, and the smallest image has to hold the pyramid; both before training."""
    with pytest.raises(BadData, match=said):
        families.build("spp", params).fit(views(), views(), Budget(), 0, lambda _: None)
