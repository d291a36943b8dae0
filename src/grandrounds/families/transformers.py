"""The vision transformers: timm's ViT, DeiT and Swin, of any size, with patches that fit the image."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import timm
from timm.layers.hybrid_embed import HybridEmbed

from grandrounds.errors import BadData, BadSpec
from grandrounds.families.built import Network, Shape, at_least
from grandrounds.families.params import DeiTParams, SwinParams, UNetSwinParams, ViTParams
from grandrounds.nets.conv_stem import ConvStem
from grandrounds.nets.masked_swin import MaskedSwin

_SMALL_PX = 64  # images up to here get patches of about 8 pixels, larger ones of about 16
_SMALLEST_PX = 8
_SIDES = range(4, 17)  # of a patch that is cut out of the image
_HALVINGS = {2: 1, 4: 2, 8: 3, 16: 4}  # of the image's side, by the side of a patch


def vit(params: ViTParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's vision transformer with patches that divide the image."""
    layout = _layout("vit", params, shape)
    module = timm.create_model("vit_tiny_patch16_224", num_classes=n_classes, **layout)
    return Network(module, f"ViT with {_words(params, shape)}, trained from scratch")


def deit(params: DeiTParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's transformer with a second token, which learns from a teacher; both decide together."""
    layout = _layout("deit", params, shape)
    module: Any = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=n_classes, **layout)
    module.set_distilled_training(enable=True)  # two heads in training, their mean otherwise
    return Network(module, f"DeiT with {_words(params, shape)}, trained from scratch")


def swin(params: SwinParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's Swin transformer: attention inside windows that shift, on maps that halve."""
    at_least("swin", max(_SMALLEST_PX, params.patch_px), shape)
    heads = tuple(params.heads_of(params.dim * 2**stage) for stage in range(len(params.depths)))
    module = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=shape[1:], patch_size=params.patch_px, window_size=params.window,
        in_chans=shape[0], num_classes=n_classes, embed_dim=params.dim, depths=params.depths, num_heads=heads,
        proj_drop_rate=params.dropout, drop_path_rate=params.drop_path,
    )  # fmt: skip
    blocks = "-".join(map(str, params.depths))
    words = f"Swin with stages of {blocks} blocks from {params.dim} channels, patches of {params.patch_px} px, windows"
    return Network(module, f"{words} of {params.window}×{params.window}, trained from scratch")


def unet_swin(params: UNetSwinParams, shape: Shape, n_classes: int) -> Network:
    """Return a Swin transformer that reads what a mask has kept of an image."""
    plain = swin(params, shape, n_classes)
    module = MaskedSwin(plain.module, params.patch_px, skips=params.skips)
    return Network(module, f"{plain.note}; what a mask has turned to the darkest value is not read")


def fitting_patch(height: int, width: int, sides: Iterable[int] = _SIDES) -> int:
    """Return the patch side that divides both sides: the divisor nearest to 8, or to 16 beyond 64 pixels.

    >>> fitting_patch(28, 28), fitting_patch(32, 32), fitting_patch(224, 224), fitting_patch(28, 28, (2, 4, 8, 16))
    (7, 8, 16, 4)
    """
    wanted = 8 if max(height, width) <= _SMALL_PX else 16
    dividing = [side for side in sides if height % side == 0 and width % side == 0]
    return min(dividing, key=lambda side: (abs(side - wanted), -side), default=wanted)


def _layout(name: str, params: ViTParams, shape: Shape) -> dict[str, Any]:
    """Return timm's arguments for a transformer of these parameters, or say why there can be none."""
    at_least(name, _SMALLEST_PX, shape)
    if params.dim % params.heads:
        raise BadSpec(
            f"{params.heads} heads do not divide a token of {params.dim}",
            where=name,
            remedy="choose heads that divide dim",
        )
    patch = _patch(params, shape)
    if shape[1] % patch or shape[2] % patch:
        raise BadData(
            f"patches of {patch} pixels do not divide images of {shape[1]} × {shape[2]}",
            where=name,
            remedy=f"resize the images in the preparation to a multiple of {patch}, or set another patch_px",
        )
    embedding = _stem(name, patch, shape[0], params.dim) if params.stem == "convolutions" else {"patch_size": patch}
    return embedding | {
        "img_size": shape[1:], "in_chans": shape[0], "embed_dim": params.dim,
        "depth": params.depth, "num_heads": params.heads,
        "proj_drop_rate": params.dropout, "drop_path_rate": params.drop_path,
    }  # fmt: skip


def _stem(name: str, patch: int, n_channels: int, dim: int) -> dict[str, Any]:
    """Return timm's arguments for a stem of convolutions, after which each pixel of the maps is a token."""
    if patch not in _HALVINGS:
        raise BadSpec(
            f"a stem of convolutions halves the image, so that it cannot make patches of {patch} pixels", where=name,
            remedy="set patch_px to 2, 4, 8 or 16, or side_px to a multiple of one of them",
        )  # fmt: skip
    backbone = ConvStem(n_channels, _HALVINGS[patch], dim)
    return {"embed_layer": partial(HybridEmbed, backbone), "patch_size": 1}


def _patch(params: ViTParams, shape: Shape) -> int:
    sides = _HALVINGS if params.stem == "convolutions" else _SIDES
    return params.patch_px or fitting_patch(shape[1], shape[2], sides)


def _words(params: ViTParams, shape: Shape) -> str:
    patch = _patch(params, shape)
    n_tokens = (shape[1] // patch) * (shape[2] // patch)
    stem = " behind convolutions" if params.stem == "convolutions" else ""
    return f"{params.depth} blocks of {params.dim}, {n_tokens} patches of {patch} px{stem}"
