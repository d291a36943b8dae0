"""Any network of timm or torchvision, built by its name for the images and classes at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import nn
from torchvision import models

from grandrounds.errors import BadData, BadSpec
from grandrounds.families.built import Network, Shape
from grandrounds.families.params import TimmParams, TorchvisionParams
from grandrounds.registry import nearest

# What networks raise on sizes that they do not like.
_MISFIT = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError)
# Auxiliary heads would change what the network returns in training, and torchvision warns unless told how to begin.
_ONE_HEAD = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}


def names(library: str) -> list[str]:
    """Return the names of every classifier that timm, with and without tags of weights, or torchvision can build."""
    if library == "timm":
        return [*timm.list_models(), *timm.list_pretrained()]
    listed: list[str] = models.list_models(module=models)
    return listed


def of_timm(params: TimmParams, shape: Shape, n_classes: int) -> Network:
    """Return a network of timm."""
    _require("timm", params.model)
    dropping = {"drop_rate": params.dropout, "drop_path_rate": params.drop_path}
    wanted = {name: rate for name, rate in dropping.items() if rate}  # not every network knows them
    create = partial(_create_timm, params.model, shape, num_classes=n_classes, **wanted)
    return _fitting(f"timm:{params.model}", shape, n_classes, create)


def of_torchvision(params: TorchvisionParams, shape: Shape, n_classes: int) -> Network:
    """Return a network of torchvision."""
    _require("torchvision", params.model)
    create = partial(_create_torchvision, params.model, shape, num_classes=n_classes)
    return _fitting(f"torchvision:{params.model}", shape, n_classes, create)


def start_timm(params: TimmParams, shape: Shape, built: Network) -> Network:
    """Return the network with published weights where the parameters name some."""
    if params.pretrained:
        path, note = _from_hub(params.model)
    elif params.weights is not None:
        path, note = Path(params.weights), _named(Path(params.weights))
    else:
        return _from_scratch(built)
    # timm opens a file of this ending as safetensors, and turns its first layer and positions to our images.
    overlay = {"file": str(path), "custom_load": False}
    create = partial(_create_timm, params.model, shape, pretrained=True, pretrained_cfg_overlay=overlay)
    return _started(built, note, create)


def start_torchvision(params: TorchvisionParams, shape: Shape, built: Network) -> Network:
    """Return the network with published weights where the parameters name some."""
    if params.weights is None:
        return _from_scratch(built)
    path = Path(params.weights)
    return _started(built, _named(path), partial(_create_torchvision, params.model, shape, path))


def _require(library: str, model: str) -> None:
    # A study or a saved model may say anything; timm would follow some names out into the network.
    known = names(library)
    if model not in known:
        raise BadSpec(f"{library} has no network called {model!r}", remedy=nearest(model, known))


def _create_timm(model: str, shape: Shape, **options: Any) -> nn.Module:  # noqa: ANN401  (handed on to timm)
    published = timm.get_pretrained_cfg(model)
    if published is not None and published.fixed_input_size:
        options["img_size"] = shape[1:]
    module: nn.Module = timm.create_model(model, in_chans=shape[0], **options)
    return module


def _create_torchvision(
    model: str,
    shape: Shape,
    weights: Path | None = None,
    **options: Any,  # noqa: ANN401  (handed on to torchvision)
) -> nn.Module:
    options |= _ONE_HEAD.get(model, {})
    if model.startswith("vit_"):
        options["image_size"] = shape[1]
    if model.startswith("maxvit"):
        options["input_size"] = shape[1:]
    module: nn.Module = models.get_model(model, weights=None, **options)
    if weights is not None:
        module.load_state_dict(load_file(weights))
    if shape[0] != 3:
        first = next(one for one in module.modules() if isinstance(one, nn.Conv2d))
        # Weights of three colours are summed or repeated over our channels, as timm does it.
        first.weight = nn.Parameter(adapt_input_conv(shape[0], first.weight.detach()))
        first.in_channels = shape[0]
    return module


def _fitting(name: str, shape: Shape, n_classes: int, create: Callable[[], nn.Module]) -> Network:
    """Return the network after one image has passed through it, so that a misfit is known before training."""
    try:
        module = create().eval()
        with torch.no_grad():
            logits = module(torch.zeros(1, *shape))
    except _MISFIT as error:
        raise BadData(
            f"{name} does not read images of (C, H, W) = {shape}: {_brief(error)}",
            remedy="resize them in the preparation, or leave this family out",
        ) from None
    if getattr(logits, "shape", None) != (1, n_classes):
        raise BadSpec(f"{name} does not give one number per class", remedy="choose a classifier")
    patches: tuple[int, int] = getattr(getattr(module, "patch_embed", None), "patch_size", (1, 1))
    if any(side % patch for side, patch in zip(shape[1:], patches, strict=True)):  # timm would leave out the rest
        raise BadData(
            f"patches of {patches[0]} pixels do not divide images of {shape[1]} × {shape[2]}",
            where=name,
            remedy=f"resize the images in the preparation to a multiple of {patches[0]}",
        )
    module.train()
    return Network(module, f"{name} as published")


def _from_scratch(built: Network) -> Network:
    return Network(built.module, f"{built.note}, trained from scratch")


def _started(built: Network, note: str, published: Callable[[], nn.Module]) -> Network:
    """Return the network with all of the published weights that are not for another number of classes."""
    try:
        given = published().state_dict()
    except (*_MISFIT, OSError, SafetensorError) as error:
        raise BadData(f"the weights do not fit the network: {_brief(error)}", where=note) from None
    own = built.module.state_dict()
    fitting = {name: value for name, value in given.items() if value.shape == own[name].shape}
    built.module.load_state_dict(own | fitting)
    trunk = frozenset(name for name, _ in built.module.named_parameters() if name in fitting)
    return Network(built.module, f"{built.note}, starting from {note}", trunk)


def _from_hub(model: str) -> tuple[Path, str]:
    published = timm.get_pretrained_cfg(model)
    if published is None or not published.hf_hub_id:
        raise BadSpec(f"timm's hub keeps no weights of {model}", remedy="leave pretrained out, or give weights")
    try:
        path = hf_hub_download(published.hf_hub_id, "model.safetensors")  # never the pickle that may lie beside it
    except (OSError, ValueError, HfHubHTTPError, EntryNotFoundError) as error:
        raise BadData(
            f"cannot fetch the weights: {_brief(error)}",
            where=published.hf_hub_id,
            remedy="go online once, give weights = a .safetensors file, or train from scratch",
        ) from None
    return Path(path), f"{published.hf_hub_id}, licence {published.license or 'not stated'}"


def _named(path: Path) -> str:
    if not path.is_file():
        raise BadData("there is no such file of weights", where=path)
    return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"


def _brief(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:3])[:300]
