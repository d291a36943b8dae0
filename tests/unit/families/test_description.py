from __future__ import annotations

from pathlib import Path

import pytest

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.families.description import describe
from grandrounds.report import network

NETWORKS = [entry.name for entry in families.FAMILIES if entry.iterates]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_drawn(name):
    """It has layers and stages, and learns what building it gives."""
    shape = (1, 64, 64)
    found = describe(name, {}, shape, 3)
    spec = families.params_of(name)
    network = next(one for one in ARCHITECTURES.values() if one.params is type(spec)).network(spec, shape, 3).module

    assert found.n_parameters == sum(one.numel() for one in network.parameters())
    assert found.layers[-1].size in ((3,), (3, 16, 16))  # logits; of Network in Network a map for each class
    assert 3 <= len(found.stages) <= 40
    assert found.n_multiply_adds >= sum(layer.n_multiply_adds for layer in found.layers) > 0


@pytest.mark.parametrize("name", ["li2014", "alexnet", "nin", "vgg-11", "resnet-18", "resnet-50"])
def test_sizes_follow_the_formula(name):
    """Each convolution and pooling gives floor((W − F + 2P) / S) + 1."""
    side_px = 64
    seen = 0
    for layer in describe(name, {}, (1, side_px, side_px), 2).layers:
        words = layer.kind.replace(",", "").split()
        if (
            words[0] in ("Conv2d", "MaxPool2d", "AvgPool2d")
            and "shortcut" not in name
            and "downsample" not in layer.name
        ):
            window, stride = int(words[1]), int(words[words.index("stride") + 1]) if "stride" in words else 1
            padding = int(words[words.index("padding") + 1]) if "padding" in words else 0
            side_px = (side_px - window + 2 * padding) // stride + 1
            seen += 1
            assert layer.size[1:] == (side_px, side_px), layer
        elif len(layer.size) == 3:
            side_px = layer.size[1]
    assert seen >= 2


@pytest.mark.parametrize(
    ("name", "params", "parameters", "multiply_adds"),
    [
        ("resnet-18", {"width": 1, "stem": "large"}, 11_689_512, 1.814e9),
        ("resnet-50", {"width": 1, "stem": "large"}, 25_557_032, 4.09e9),
        ("alexnet", {"width": 1}, 61_100_840, 0.714e9),
        ("vgg-16", {"width": 1, "norm": False}, 138_357_544, 15.47e9),
    ],
)
def test_published_networks_cost_what_is_published(name, params, parameters, multiply_adds):
    """Parameters to the last one, and multiply-adds to the digits that torchvision prints with its weights."""
    found = describe(name, params, (3, 224, 224), 1000)

    assert found.n_parameters == parameters
    assert found.n_multiply_adds == pytest.approx(multiply_adds, rel=3e-3)


def test_attention_is_counted():
    """Of a transformer, the products of queries and keys are in the sum."""
    found = describe("vit-tiny", {"dim": 96, "depth": 1, "heads": 3, "patch_px": 4}, (1, 32, 32), 2)
    n_tokens = 65

    inside = found.n_multiply_adds - sum(layer.n_multiply_adds for layer in found.layers)
    assert inside == 2 * n_tokens**2 * 96


def test_refusals():
    """No network, no drawing; too small an image is refused with the numbers."""
    with pytest.raises(BadSpec, match="no network"):
        describe("thumbnail", {}, (1, 32, 32), 2)
    with pytest.raises(BadData, match="63 pixels"):
        describe("alexnet", {}, (1, 32, 32), 2)


@pytest.mark.parametrize("entry", [one for one in families.FAMILIES if one.iterates], ids=lambda one: one.name)
def test_listed_parameters_are_those_of_the_network(entry):
    """What the list says without building anything is what is built for grey images of 64 pixels and two classes."""
    assert describe(entry.name, {}, (1, 64, 64), 2).n_parameters == entry.n_parameters


@pytest.mark.parametrize("family", ["li2014", "resnet-18", "vit-tiny"])
def test_drawings_in_the_docs_are_those_of_the_networks(family, tmp_path):
    """What the reference shows is what is built; draw it anew with docs/figures/networks.py."""
    found = describe(family, {}, (1, 32, 32), 5)
    drawn = network.write(f"{family}: {found.note}", found.shape, found.stages, tmp_path / "drawing.svg")
    shown = Path(__file__).parents[3] / "docs" / "images" / f"network-{family}.svg"

    assert drawn.read_text(encoding="utf-8") == shown.read_text(encoding="utf-8")
