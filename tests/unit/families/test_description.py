from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from grandrounds import families
from grandrounds.cli import options
from grandrounds.cli.listing import layer_table
from grandrounds.errors import BadData, BadSpec
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.families.description import describe
from grandrounds.report import network

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
NETWORKS = [entry.name for entry in families.FAMILIES if entry.iterates]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_drawn(name):
    """It has layers and stages, and learns what building it gives."""
    shape = (1, 64, 64)
    found = describe(name, {}, shape, 3)

    assert found.n_parameters == sum(one.numel() for one in built(name, shape).parameters())
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
        if words[0] in ("Conv2d", "MaxPool2d", "AvgPool2d") and "downsample" not in layer.name:
            window, stride = int(words[1]), int(words[words.index("stride") + 1]) if "stride" in words else 1
            padding = int(words[words.index("padding") + 1]) if "padding" in words else 0
            side_px = (side_px - window + 2 * padding) // stride + 1
            seen += 1
            assert layer.size[1:] == (side_px, side_px), layer
        elif len(layer.size) == 3:
            side_px = layer.size[1]
    assert seen >= 2


def built(name, shape):
    """The network of a family with three classes."""
    spec = families.params_of(name)
    return next(one for one in ARCHITECTURES.values() if one.params is type(spec)).network(spec, shape, 3).module


def expected_side(module, side_px):
    """What passes a convolution or pooling of equal sides, after torch's documentation."""
    window, stride, padding = (
        one[0] if isinstance(one, tuple) else one for one in (module.kernel_size, module.stride, module.padding)
    )
    if type(module).__name__.endswith("Same"):  # timm's, which pads as TensorFlow does
        return -(-side_px // stride)
    if not getattr(module, "ceil_mode", False):
        return (side_px - window + 2 * padding) // stride + 1
    side = -(-(side_px - window + 2 * padding) // stride) + 1
    return side - ((side - 1) * stride >= side_px + padding)  # no window begins beyond the image


@pytest.mark.parametrize("name", NETWORKS)
def test_every_size_that_is_drawn_is_what_passes_and_follows_the_formula(name):
    """In branches too: floor((W − F + 2P) / S) + 1, or rounded up where the layer says so."""
    side_px = getattr(families.params_of(name), "side_px", None) or 64
    shape, passed = (1, side_px, side_px), {}
    network = built(name, shape).eval()

    def noting(path, module):
        module.register_forward_hook(lambda _module, given, out: passed.update({path: (given[0].shape, out.shape)}))

    windows = {path: one for path, one in network.named_modules() if isinstance(one, WINDOWS)}
    for path, module in windows.items():
        noting(path, module)
    with torch.no_grad():
        network(torch.linspace(0, 1, side_px**2).view(1, *shape))
    drawn = {layer.name: layer.size for layer in describe(name, {}, shape, 3).layers}

    assert passed or name.startswith("vit")
    for path, (given, out) in passed.items():
        assert tuple(out[-2:]) == tuple(expected_side(windows[path], side) for side in given[-2:]), path
        assert drawn[path] == tuple(out[1:])


@pytest.mark.parametrize(
    ("name", "params", "parameters", "multiply_adds"),
    [
        ("resnet-18", {"width": 1, "stem": "large"}, 11_689_512, 1.814e9),
        ("resnet-50", {"width": 1, "stem": "large"}, 25_557_032, 4.09e9),
        ("alexnet", {"width": 1}, 61_100_840, 0.714e9),
        ("vgg-16", {"width": 1, "norm": False}, 138_357_544, 15.47e9),
        ("torchvision:vit_b_16", {"imbalance": "none"}, 86_567_656, 17.56e9),
    ],
)
def test_published_networks_cost_what_is_published(name, params, parameters, multiply_adds):
    """Parameters to the last one, and multiply-adds to the digits that torchvision prints with its weights."""
    found = describe(name, params, (3, 224, 224), 1000)

    assert found.n_parameters == parameters
    assert found.n_multiply_adds == pytest.approx(multiply_adds, rel=3e-3)


@pytest.mark.parametrize(
    ("name", "params", "last"),
    [
        ("slices:resnet-18", {"of": {"width": 0.125}}, "head"),
        ("joint:resnet-18", {"of": {"width": 0.125}}, "head"),
        ("transmed:resnet-18", {"of": {"width": 0.125}}, "head"),
        ("monai:resnet10", {"of": {"widen_factor": 0.125}}, "fc"),
    ],
)
def test_networks_of_volumes_can_be_drawn(name, params, last, tmp_path):
    """Of channels, slices, height and width; without a size it is a usual volume."""
    pytest.importorskip("monai")
    size = options.image_shape("2x8x32x32")
    found = describe(name, params, size, 3)
    drawn = network.write(name, found.shape, found.stages, tmp_path / "drawing.svg").read_text(encoding="utf-8")

    assert found.shape == size
    assert (found.layers[-1].name, found.layers[-1].size) == (last, (3,))
    assert found.n_multiply_adds >= sum(layer.n_multiply_adds for layer in found.layers) > 0
    assert 3 <= len(found.stages) <= 40
    assert "2×8×32×32" in drawn
    assert len(describe(name, params, None, 3).shape) == 4


def test_slices_cost_one_by_one():
    """Twice as many slices pass the network of planes twice as often; no layer is larger for it."""
    one, two = (describe("slices:resnet-18", {}, (1, n_slices, 32, 32), 2) for n_slices in (4, 8))
    same = [(layer.name, layer.size, layer.n_parameters) for layer in one.layers]

    assert [(layer.name, layer.size, layer.n_parameters) for layer in two.layers] == same
    assert two.layers[0].n_multiply_adds == 2 * one.layers[0].n_multiply_adds


def test_a_probe_is_drawn_as_the_network_that_it_reads():
    """Its last layer stands for the regression; the rest is as published, and at the size that it is given."""
    probe = describe("efficientnet-lite0-probe", {"side_px": 64}, (1, 32, 32), 5)
    trained = describe("efficientnet-lite0", {"side_px": 64}, (1, 32, 32), 5)

    assert (probe.layers, probe.shape) == (trained.layers, (1, 64, 64))
    assert probe.layers[-1].n_parameters == (1280 + 1) * 5
    assert "the last layer alone learns" in probe.note


def test_attention_is_counted():
    """Of a transformer, the products of queries and keys are in the sum."""
    found = describe("vit-tiny", {"dim": 96, "depth": 1, "heads": 3, "patch_px": 4}, (1, 32, 32), 2)
    n_tokens = 65

    inside = found.n_multiply_adds - sum(layer.n_multiply_adds for layer in found.layers)
    assert inside == 2 * n_tokens**2 * 96


def test_a_parameter_of_a_teacher_is_named_by_a_dot():
    """As in tuning; one that there is not is refused by its own name alone."""
    assert describe("deit-tiny", {"teacher.width": 0.5}, (1, 32, 32), 2).n_parameters
    with pytest.raises(BadSpec, match=r"unknown key 'teacher\.colour'"):
        describe("deit-tiny", {"teacher.colour": 1}, (1, 32, 32), 2)


def test_refusals():
    """No network, no drawing; too small an image is refused with the numbers."""
    with pytest.raises(BadSpec, match="no network"):
        describe("thumbnail", {}, (1, 32, 32), 2)
    with pytest.raises(BadSpec, match="grandrounds describe li2014"):
        describe("ensemble:li2014", {}, (1, 32, 32), 2)
    with pytest.raises(BadData, match="63 pixels"):
        describe("alexnet", {}, (1, 32, 32), 2)
    with pytest.raises(BadData, match="reads volumes, and 1×32×32 is no size of one"):
        describe("slices:li2014", {}, (1, 32, 32), 2)
    with pytest.raises(BadData, match="reads planes, and 1×8×32×32 is no size of one"):
        describe("li2014", {}, (1, 8, 32, 32), 2)
    for n_classes in (-1, 0, 1):
        with pytest.raises(BadSpec, match="two classes or more"):
            describe("li2014", {}, (1, 32, 32), n_classes)
    with pytest.raises(BadSpec, match="no size of an image"):
        options.image_shape("64x64")
    with pytest.raises(BadSpec, match="no size of an image"):
        options.image_shape("1x64x64xfoo")


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


@pytest.mark.parametrize(
    ("width", "shown"), [(80, ("patch_embed.", "backbone.layers.0")), (200, ("patch_embed.backbone.layers.0",))]
)
def test_names_of_layers_go_on_below_themselves_after_a_dot(width, shown):
    """A name that is broken elsewhere cannot be read."""
    console = Console(width=width, file=io.StringIO())
    console.print(layer_table("vit-tiny", describe("vit-tiny", {"stem": "convolutions"}, (1, 64, 64), 2)))
    column = [line.split("│")[1].strip() for line in console.file.getvalue().splitlines() if line.startswith("│")]

    assert set(shown) <= set(column)
