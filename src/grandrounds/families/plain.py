"""The plain convolutional networks: torchvision's AlexNet, VGG and GoogLeNet with any width, and our two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torchvision import models

from grandrounds.families.built import Network, Shape, at_least
from grandrounds.families.params import AlexNetParams, GoogLeNetParams, NinParams, SppParams, VggParams
from grandrounds.nets.nin import MIN_SIDE_PX, NetworkInNetwork
from grandrounds.nets.pyramid import SHRINKS, PyramidNet

ALEXNET_MIN_PX, VGG_MIN_PX = 63, 32  # one pixel is left after the last pooling
GOOGLENET_MIN_PX = 32  # below, nothing is left to look at in the last blocks


def nin(params: NinParams, shape: Shape, n_classes: int) -> Network:
    """Return the Network in Network."""
    at_least("nin", MIN_SIDE_PX, shape)
    module = NetworkInNetwork(shape[0], n_classes, width=params.width, dropout=params.dropout, norm=params.norm)
    _initialise(module)
    return Network(module, _note("Network in Network", params.width, norm=params.norm))


def alexnet(params: AlexNetParams, shape: Shape, n_classes: int) -> Network:
    """Return torchvision's AlexNet at any width."""
    at_least("alexnet", ALEXNET_MIN_PX, shape)
    module = _scaled("alexnet", params, shape, n_classes)
    return Network(module, _note("AlexNet", params.width, norm=False))


def vgg(params: VggParams, shape: Shape, n_classes: int) -> Network:
    """Return torchvision's VGG at any width."""
    at_least(params.variant, VGG_MIN_PX, shape)
    name = params.variant.replace("-", "") + ("_bn" if params.norm else "")
    module = _scaled(name, params, shape, n_classes)
    return Network(module, _note(params.variant.upper(), params.width, norm=params.norm))


def googlenet(params: GoogLeNetParams, shape: Shape, n_classes: int) -> Network:
    """Return torchvision's GoogLeNet with every layer `width` times as wide."""
    at_least("googlenet", GOOGLENET_MIN_PX, shape)
    with torch.device("meta"):
        plan: Any = models.googlenet(weights=None, num_classes=n_classes, init_weights=False, transform_input=False)
    module: nn.Module = plan
    _narrow(module, params.width, shape[0], n_classes)
    module.to_empty(device="cpu")
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.reset_parameters()
    _initialise(module)
    if params.pooling == "average":
        _average_pools(module)
    return Network(module, _note("GoogLeNet with auxiliary heads", params.width, norm=True))


def pyramid(params: SppParams, shape: Shape, n_classes: int) -> Network:
    """Return the network with a spatial pyramid."""
    at_least("spp", SHRINKS * max(params.levels), shape)
    module = PyramidNet(
        shape[0], n_classes, width=params.width, levels=params.levels, dropout=params.dropout,
        average=params.pooling == "average",
    )  # fmt: skip
    _initialise(module)
    levels = ", ".join(f"{cells}×{cells}" for cells in params.levels)
    return Network(
        module, f"three stages from {params.width} channels under a pyramid of {levels}, trained from scratch"
    )


def _narrow(module: nn.Module, width: float, n_channels: int, n_classes: int) -> None:
    """Replace each layer by one `width` times as wide; the first and last keep what the images and classes say."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.Conv2d):
            n_in = n_channels if layer.in_channels == 3 else round(layer.in_channels * width)
            geometry = _geometry(layer)
            setattr(module, name, nn.Conv2d(n_in, round(layer.out_channels * width), *geometry, bias=False))
        elif isinstance(layer, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(round(layer.num_features * width), eps=layer.eps))
        elif isinstance(layer, nn.Linear):
            n_out = n_classes if layer.out_features == n_classes else round(layer.out_features * width)
            setattr(module, name, nn.Linear(round(layer.in_features * width), n_out))
        else:
            _narrow(layer, width, n_channels, n_classes)


def _average_pools(module: nn.Module) -> None:
    """Turn each pooling that takes the greatest value into one that takes the mean."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.MaxPool2d):
            pool = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
            setattr(module, name, pool)
        else:
            _average_pools(layer)


def _scaled(name: str, params: AlexNetParams | VggParams, shape: Shape, n_classes: int) -> nn.Module:
    """Return torchvision's network with every layer `width` times as wide, for these images and classes."""
    with torch.device("meta"):  # a plan of the layers, without their half a gigabyte of numbers
        module: Any = models.get_model(name, weights=None, dropout=params.dropout)
        height, width = module.features(torch.empty(1, 3, *shape[1:])).shape[2:]
    # Where the last maps are smaller than the published pool, pooling would only repeat them.
    published: tuple[int, int] = module.avgpool.output_size
    pooled = min(published[0], height), min(published[1], width)
    module.avgpool = nn.AdaptiveAvgPool2d(pooled)
    module.features, n_maps = _rebuilt(module.features, shape[0], params.width)
    module.classifier, _ = _rebuilt(module.classifier, n_maps * pooled[0] * pooled[1], params.width)
    module.classifier[-1] = nn.Linear(module.classifier[-1].in_features, n_classes)
    _initialise(module)
    if params.pooling == "average":
        _average_pools(module)
    network: nn.Module = module
    return network


def _rebuilt(layers: Iterable[Any], n_in: int, width: float) -> tuple[nn.Sequential, int]:
    """Return the same layers with their outputs `width` times as wide, and how many come out."""
    rebuilt: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            n_out = _channels(layer.out_channels, width)
            rebuilt.append(nn.Conv2d(n_in, n_out, *_geometry(layer)))
            n_in = n_out
        elif isinstance(layer, nn.Linear):
            n_out = _channels(layer.out_features, width)
            rebuilt.append(nn.Linear(n_in, n_out))
            n_in = n_out
        else:
            rebuilt.append(nn.BatchNorm2d(n_in) if isinstance(layer, nn.BatchNorm2d) else layer)
    return nn.Sequential(*rebuilt), n_in


def _geometry(layer: Any) -> tuple[int, int, int]:  # noqa: ANN401  (torch types these as tuples of any length)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]  # all are square here


def _channels(published: int, width: float) -> int:
    return max(8, 8 * round(published * width / 8))


def _initialise(module: nn.Module) -> None:
    # He's initialisation for every layer: the published small Gaussians let a thin network without norm stand still.
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _note(name: str, width: float, *, norm: bool) -> str:
    batch_norm = "with" if norm else "without"
    return f"{name} at {width:g} of its width, {batch_norm} batch norm, trained from scratch"
