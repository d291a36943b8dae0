"""Any network of timm or torchvision, built by its name for the images and classes at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torchvision import models

from grandrounds.errors import BadData, BadSpec
from grandrounds.families import weights
from grandrounds.families.built import Network, Shape
from grandrounds.families.params import HUB, IN_PACKAGE, TimmParams, TorchvisionParams
from grandrounds.families.weights import Published
from grandrounds.registry import nearest

# What networks raise on sizes that they do not like.
MISFIT = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError)
_RESIZE = "resize them in the preparation, or leave this family out"
_UNKNOWN = "leave out dropout or drop_path, which not every network knows"
_OTHER_FILE = "name a file with the weights of this very network"
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
    require("timm", params.model)
    dropping = {"drop_rate": params.dropout, "drop_path_rate": params.drop_path}
    wanted = {name: rate for name, rate in dropping.items() if rate}  # not every network knows them
    create = partial(create_timm, params.model, shape, num_classes=n_classes, **wanted)
    return fitting(f"timm:{params.model}", shape, n_classes, create)


def of_torchvision(params: TorchvisionParams, shape: Shape, n_classes: int) -> Network:
    """Return a network of torchvision."""
    require("torchvision", params.model)
    create = partial(_create_torchvision, params.model, shape, num_classes=n_classes)
    return fitting(f"torchvision:{params.model}", shape, n_classes, create)


def start_timm(params: TimmParams, shape: Shape, built: Network) -> Network:
    """Return the network with published weights where the parameters name some."""
    if params.weights is None:
        return _from_scratch(built)
    given = weights.published(params.weights, params.model, params.weights_licence)
    return _started(built, given, published_timm(params.model, shape, given))


def start_torchvision(params: TorchvisionParams, shape: Shape, built: Network) -> Network:
    """Return the network with published weights where the parameters name some."""
    if params.weights is None:
        return _from_scratch(built)
    if params.weights in (HUB, *(IN_PACKAGE + name for name in weights.PACKAGES)):
        raise BadSpec(f"{params.weights} has weights for timm's networks", remedy="choose timm:<model>, or name a file")
    given = weights.published(params.weights, params.model, params.weights_licence)
    return _started(built, given, partial(_create_torchvision, params.model, shape, given.tensors))


def published_timm(model: str, shape: Shape, given: Published) -> Callable[[], nn.Module]:
    """Return what builds a network of timm as it was published; timm turns first layer and positions to our images."""
    overlay = {"state_dict": dict(given.tensors), "custom_load": False}
    return partial(create_timm, model, shape, pretrained=True, pretrained_cfg_overlay=overlay)


def published_trunk(model: str, shape: Shape, given: Published) -> Callable[[], nn.Module]:
    """Return what builds a network without its last layer, which the weights may have, in any size, or lack."""
    named = getattr(timm.get_pretrained_cfg(model), "classifier", None) or ()
    last = tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))
    tensors = {name: value for name, value in given.tensors.items() if not name.startswith(last)}
    # Said to be published without a last layer, so that timm refuses whatever else is missing.
    overlay = {"state_dict": tensors, "custom_load": False, "num_classes": 0}
    return partial(create_timm, model, shape, num_classes=0, pretrained=True, pretrained_cfg_overlay=overlay)


def require(library: str, model: str) -> None:
    """Refuse a network that a library does not list."""
    # A study or a saved model may say anything; timm would follow some names out into the network.
    known = names(library)
    if model not in known:
        raise BadSpec(f"{library} has no network called {model!r}", remedy=nearest(model, known))


def create_timm(model: str, shape: Shape, **options: Any) -> nn.Module:  # noqa: ANN401  (handed on to timm)
    """Return a network of timm for images (C, H, W) of that shape."""
    published = timm.get_pretrained_cfg(model)
    if published is not None and published.fixed_input_size:
        options["img_size"] = shape[1:]
    module: nn.Module = timm.create_model(model, in_chans=shape[0], **options)
    return module


class Range(NamedTuple):
    """Mean and standard deviation by which published weights expect their input, each (C, 1, 1)."""

    mean: Tensor
    sd: Tensor


def published_range(network: nn.Module, n_channels: int) -> Range:
    """Return the input's range that a network of timm was published with; of other than three channels the mean one."""
    said: Any = getattr(network, "pretrained_cfg", {})
    mean, sd = (torch.tensor(said.get(key, (0.5,) * 3)) for key in ("mean", "std"))
    if n_channels != len(mean):
        mean, sd = mean.mean().repeat(n_channels), sd.mean().repeat(n_channels)
    return Range(mean[:, None, None], sd[:, None, None])


def _create_torchvision(
    model: str,
    shape: Shape,
    tensors: Mapping[str, Tensor] | None = None,
    **options: Any,  # noqa: ANN401  (handed on to torchvision)
) -> nn.Module:
    options |= _ONE_HEAD.get(model, {})
    if model.startswith("vit_"):
        options["image_size"] = shape[1]
    if model.startswith("maxvit"):
        options["input_size"] = shape[1:]
    module: nn.Module = models.get_model(model, weights=None, **options)
    if tensors is not None:
        module.load_state_dict(tensors)
    if shape[0] != 3:
        first = next(one for one in module.modules() if isinstance(one, nn.Conv2d))
        # Weights of three colours are summed or repeated over our channels, as timm does it.
        first.weight = nn.Parameter(adapt_input_conv(shape[0], first.weight.detach()))
        first.in_channels = shape[0]
    return module


def fitting(name: str, shape: Shape, n_classes: int, create: Callable[[], nn.Module]) -> Network:
    """Return the network after one image has passed through it, so that a misfit is known before training."""
    try:
        module = create().eval()
        with torch.no_grad():
            logits = module(torch.zeros(1, *shape))
    except MISFIT as error:
        raise BadData(
            f"{name} does not read images of {_axes(shape)} = {shape}: {weights.brief(error)}",
            remedy=_UNKNOWN if "unexpected keyword" in str(error) else _RESIZE,
        ) from None
    if getattr(logits, "shape", None) != (1, n_classes):
        raise BadSpec(f"{name} does not give one number per class", remedy="choose a classifier")
    stated: int | tuple[int, ...] = getattr(getattr(module, "patch_embed", None), "patch_size", 1)
    patches = (stated,) * len(shape[1:]) if isinstance(stated, int) else stated
    if any(side % patch for side, patch in zip(shape[1:], patches, strict=True)):  # timm would leave out the rest
        raise BadData(
            f"patches of {patches[0]} pixels do not divide images of {shape[1]} × {shape[2]}",
            where=name,
            remedy=f"resize the images in the preparation to a multiple of {patches[0]}",
        )
    module.train()
    return Network(module, f"{name} as published")


def _axes(shape: Shape) -> str:
    return "(C, H, W)" if len(shape) == 3 else "(C, D, H, W)"


def _from_scratch(built: Network) -> Network:
    return Network(built.module, f"{built.note}, trained from scratch")


def _started(built: Network, given: Published, create: Callable[[], nn.Module]) -> Network:
    """Return the network with all of the published weights that are not for another number of classes."""
    own = built.module.state_dict()
    whole = whole_of(own, given, create)
    fitting = {name: value for name, value in whole.items() if value.shape == own[name].shape}
    built.module.load_state_dict(own | fitting)
    trunk = frozenset(name for name, _ in built.module.named_parameters() if name in fitting)
    return Network(built.module, f"{built.note}, starting from {given.note}", trunk, given.licence)


def whole_of(own: Mapping[str, Tensor], given: Published, create: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Return the tensors of a published network.

    Args:
        own: Those of ours, which may have another last layer or none.
        given: The weights.
        create: Builds the network with them.

    Raises:
        BadData: They do not fit it, or hold numbers that are none.
    """
    if broken := [name for name, value in given.tensors.items() if not torch.isfinite(value).all()]:
        raise BadData(
            f"the weights have values that are no numbers, first in {broken[0]}", where=given.note, remedy=_OTHER_FILE
        )
    try:
        whole: dict[str, Tensor] = create().state_dict()
    except MISFIT as error:
        what = f"the weights do not fit the network: {_misfit(own, given, error)}"
        raise BadData(what, where=given.note, remedy=_OTHER_FILE) from None
    return whole


def _misfit(own: Mapping[str, Tensor], given: Published, error: Exception) -> str:
    missing = [name for name in own if name not in given.tensors]
    if missing:
        return f"{len(missing)} of its {len(own)} tensors are missing, the first is {missing[0]}"
    return weights.brief(error)  # says which shapes differ
