"""The networks behind the iterating families, each built from its parameters and the shape of the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import timm
from torch import nn

from grandrounds.errors import BadData, BadSpec
from grandrounds.families.params import Li2014Params, ResNetParams, ViTParams
from grandrounds.nets.li2014 import MIN_SIDE_PX, Li2014
from grandrounds.training.spec import TrainingSpec

Shape = tuple[int, int, int]  # (C, H, W)
_SMALL_PX = 64  # up to here a network may not shrink the image before its first block


class Network(NamedTuple):
    """A network that gives logits, and a sentence on what it is."""

    module: nn.Module
    note: str


def li2014(params: Li2014Params, shape: Shape, n_classes: int) -> Network:
    """Return the network of Li et al."""
    _at_least("li2014", MIN_SIDE_PX, shape)
    module = Li2014(*shape, n_classes, dropout=params.dropout)
    return Network(module, f"Li 2014 network with dropout {params.dropout:g}")


def resnet(params: ResNetParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's residual network with any width and with the stem that suits the images."""
    _at_least(params.variant, 8, shape)
    channels = tuple(max(8, 8 * round(width * params.width / 8)) for width in (64, 128, 256, 512))
    small = params.stem == "small" or (params.stem == "auto" and min(shape[1:]) <= _SMALL_PX)
    # timm fixes a plain stem at 64 channels; the deep one takes any width, and we put one convolution in its place.
    module = timm.create_model(
        params.variant, in_chans=shape[0], num_classes=n_classes, channels=channels, stem_type="deep",
        stem_width=channels[0] // 2,
    )  # fmt: skip
    side, stride = (3, 1) if small else (7, 2)
    module.conv1 = nn.Conv2d(shape[0], channels[0], side, stride, side // 2, bias=False)
    nn.init.kaiming_normal_(module.conv1.weight, mode="fan_out", nonlinearity="relu")
    if small:
        module.maxpool = nn.Identity()
    stem = "3×3 stem without pooling" if small else "7×7 stem with stride and pooling"
    return Network(module, f"{params.variant} at {params.width:g} of its width, {stem}, trained from scratch")


def vit(params: ViTParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's vision transformer with patches that divide the image."""
    _at_least("vit-tiny", 8, shape)
    if params.dim % params.heads:
        raise BadSpec(f"{params.heads} heads do not divide a token of {params.dim}", where="vit-tiny")
    patch = params.patch_px or fitting_patch(shape[1], shape[2])
    if shape[1] % patch or shape[2] % patch:
        raise BadData(
            f"patches of {patch} pixels do not divide images of {shape[1]} × {shape[2]}",
            where="vit-tiny",
            remedy="resize the images in the preparation, for example to a multiple of 8",
        )
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=shape[1:], patch_size=patch, in_chans=shape[0], num_classes=n_classes,
        embed_dim=params.dim, depth=params.depth, num_heads=params.heads,
    )  # fmt: skip
    n_tokens = (shape[1] // patch) * (shape[2] // patch)
    note = f"ViT with {params.depth} blocks of {params.dim}, {n_tokens} patches of {patch} px, trained from scratch"
    return Network(module, note)


def fitting_patch(height: int, width: int) -> int:
    """Return the patch side that divides both sides: the divisor nearest to 8, or to 16 beyond 64 pixels.

    >>> fitting_patch(28, 28), fitting_patch(32, 32), fitting_patch(224, 224)
    (7, 8, 16)
    """
    wanted = 8 if max(height, width) <= _SMALL_PX else 16
    dividing = [side for side in range(4, 17) if height % side == 0 and width % side == 0]
    return min(dividing, key=lambda side: (abs(side - wanted), -side), default=wanted)


class Architecture(NamedTuple):
    """How parameters of one kind become a network."""

    params: type[TrainingSpec]
    network: Callable[..., Network]


# Saved models name one of these; nothing else that a file names is ever called.
ARCHITECTURES = {
    "li2014": Architecture(Li2014Params, li2014),
    "resnet": Architecture(ResNetParams, resnet),
    "vit": Architecture(ViTParams, vit),
}


def _at_least(name: str, side_px: int, shape: Shape) -> None:
    if min(shape[1:]) < side_px:
        raise BadData(
            f"{name} needs images of at least {side_px} pixels a side, these are {shape[1]} × {shape[2]}",
            remedy="resize them in the preparation, or leave this family out",
        )
