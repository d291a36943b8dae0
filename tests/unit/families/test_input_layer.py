"""The input layer of networks: fitted on training images alone, kept with the weights."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families import input_layer
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.training.spec import InputKind

KINDS = get_args(InputKind)
every_kind = pytest.mark.parametrize("kind", KINDS)


def images(n=200, shape=(2, 5, 6), seed=0):
    """Images whose neighbouring values go together."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, np.prod(shape))) @ rng.normal(size=(np.prod(shape),) * 2)
    return values.reshape(n, *shape).astype(np.float32)


def read(kind, train, test):
    with torch.no_grad():
        return input_layer.fitted(kind, train)(torch.from_numpy(test)).numpy()


@every_kind
@pytest.mark.parametrize("shape", [(1, 6, 6), (2, 5, 6), (1, 3, 4, 5)])
def test_the_shape_stays(kind, shape):
    """Planes and volumes come out as they went in."""
    pixels = images(40, shape)

    assert read(kind, pixels, pixels[:7]).shape == (7, *shape)


def test_what_each_kind_takes_away():
    """Channels, pixels, or nothing; a pixel that never varies stays finite."""
    pixels = images()
    pixels[:, 0, 0, 0] = 3.0

    np.testing.assert_array_equal(read("none", pixels, pixels), pixels)
    channel = read("channel", pixels, pixels)
    np.testing.assert_allclose(channel.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(channel.std(axis=(0, 2, 3)), 1, atol=1e-5)
    mean = read("mean", pixels, pixels)
    np.testing.assert_allclose(mean, pixels - pixels.mean(axis=0), atol=1e-4)
    scale = read("scale", pixels, pixels)
    np.testing.assert_allclose(scale.std(axis=0).ravel()[1:], 1, atol=1e-4)
    assert (scale[:, 0, 0, 0] == 0).all()


def test_components_are_those_of_scikit_learn(monkeypatch):
    """Its whitened PCA but for signs, where nothing is added to the variances."""
    monkeypatch.setattr(input_layer, "_EPSILON", 0.0)
    train, test = images(), images(30, seed=1)
    ours = read("pca", train, test).reshape(30, -1)
    theirs = PCA(whiten=True, svd_solver="full").fit(train.reshape(200, -1)).transform(test.reshape(30, -1))

    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=2e-2, atol=2e-2)


def test_zca_whitens_and_turns_back():
    """No two values go together any more, and the image is still the one most like the original."""
    train = images(2000)
    white = read("zca", train, train).reshape(2000, -1)
    covariance = np.cov(white.T)

    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.5 * np.diag(covariance).max()
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-5)
    original = (train - train.mean(axis=0)).reshape(2000, -1)
    assert (np.diag(original.T @ white) > 0).all()


def test_fewer_images_than_values_leave_the_rest_out():
    """Nine images span eight directions; a new image is not blown up along the others."""
    train, test = images(9), 100 * images(5, seed=2)
    components = read("pca", train, test).reshape(5, -1)

    assert (components[:, 8:] == 0).all()
    assert np.isfinite(read("zca", np.zeros_like(train), test)).all()


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_large_images_are_refused_with_the_numbers(kind):
    """Whitening of 65×65 values would take minutes and gigabytes."""
    with pytest.raises(BadData, match="1×65×65 = 4225") as caught:
        input_layer.fitted(kind, np.zeros((3, 1, 65, 65), dtype=np.float32))
    assert "resize" in caught.value.remedy


@every_kind
def test_it_is_kept_with_the_weights_and_sees_no_test_image(kind, tmp_path):
    """Loading gives the same probabilities; poisoned test images leave every saved number as it was."""
    train, valid = (noise_view((1, 16, 16), n, 2) for n in (24, 12))
    test = dataclasses.replace(valid, labels=None)
    poisoned = dataclasses.replace(test, pixels=1000 - 3 * test.pixels)
    family = families.build("li2014", {"input": kind, "batch_size": 8})
    hashes, given = [], []
    for number, view in enumerate((test, poisoned)):
        model = family.fit(train, valid, Budget(epochs=1), 0, lambda epoch: None)
        model.predict(view)
        folder = tmp_path / str(number)
        folder.mkdir()
        model.save(folder)
        hashes.append(families.fitted_hash(folder))
        given.append(model.predict(test))

    assert hashes[0] == hashes[1]
    np.testing.assert_array_equal(families.load("li2014", tmp_path / "0").predict(test), given[0])
    assert any(note.startswith("input: ") for note in model.record.notes)
