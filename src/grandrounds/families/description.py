"""What a network is made of: the layers that were really built, what each gives, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from grandrounds import families
from grandrounds.errors import BadSpec
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.families.built import Shape, resized_to

_NOTHING = (nn.Identity, nn.Dropout)  # once training is over
_FEW = 3  # parts: a network of so few is drawn layer by layer
_PER_MULTIPLY_ADD = 2  # torch counts a multiplication and an addition as two operations


class Layer(NamedTuple):
    """One layer, in the order in which an image passes.

    Args:
        name: Its path in the network, such as `layer1.0.conv1`.
        kind: What it is, with kernel, stride and padding where it has them.
        size: What it gives for one image: (C, H, W), (tokens, channels) or (units,).
        n_parameters: Learned numbers.
        n_multiply_adds: For one image.
    """

    name: str
    kind: str
    size: tuple[int, ...]
    n_parameters: int
    n_multiply_adds: int


class Stage(NamedTuple):
    """Neighbouring layers under one name, for a drawing."""

    name: str
    size: tuple[int, ...]
    n_parameters: int


class Description(NamedTuple):
    """A network as it is built for images of one shape.

    Args:
        note: What it is, in words.
        shape: (C, H, W) of the images.
        layers: Those that an image passes.
        stages: Its parts, for a drawing; layer by layer where there are few.
        n_parameters: All learned numbers, also of heads that are left out after training.
        n_multiply_adds: For one image; products inside attention are in no layer, and counted here.
    """

    note: str
    shape: Shape
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    n_parameters: int
    n_multiply_adds: int


def describe(name: str, params: Mapping[str, Any], shape: Shape, n_classes: int) -> Description:
    """Return the layers of a family's network.

    Args:
        name: Of the family.
        params: Its parameters, over the defaults.
        shape: (C, H, W) of the images.
        n_classes: How many classes it tells apart.

    Raises:
        BadSpec: The family has no network.
        BadData: The network does not read images of this shape.
    """
    spec = families.params_of(name, params)
    architecture = next((one for one in ARCHITECTURES.values() if one.params is type(spec)), None)
    if architecture is None:
        raise BadSpec(f"{name} has no network to draw", remedy="see what it does with: grandrounds list families")
    inner = resized_to(getattr(spec, "side_px", None), shape)
    built = architecture.network(spec, inner, n_classes)
    return _described(built.note, built.module.eval(), inner)


def _described(note: str, network: nn.Module, shape: Shape) -> Description:
    """Return what one image passes on its way through a network."""
    sizes: dict[str, tuple[int, ...]] = {}

    def noting(name: str) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
        def note(_module: nn.Module, _given: object, out: Tensor | tuple[Tensor, ...]) -> None:
            sizes[name] = _size(out)

        return note

    modules = dict(network.named_modules())
    hooks = [module.register_forward_hook(noting(name)) for name, module in modules.items() if name]
    # Fused attention is not counted; the plain products that it stands for are.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network(torch.linspace(0, 1, math.prod(shape)).view(1, *shape))  # dark nowhere, or unet-swin would skip it
    for hook in hooks:
        hook.remove()
    operations = {path: sum(ops.values()) for path, ops in counter.get_flop_counts().items()}
    layers = tuple(
        Layer(
            name,
            _kind(modules[name]),
            size,
            _n_parameters(modules[name]),
            operations.get(f"{type(network).__name__}.{name}", 0) // _PER_MULTIPLY_ADD,
        )
        for name, size in sizes.items()
        if not list(modules[name].children()) and not isinstance(modules[name], _NOTHING)
    )
    return Description(
        note, shape, layers, _stages(network, shape, layers, sizes), _n_parameters(network),
        operations.get("Global", 0) // _PER_MULTIPLY_ADD,
    )  # fmt: skip


def _stages(
    network: nn.Module, shape: Shape, layers: tuple[Layer, ...], sizes: Mapping[str, tuple[int, ...]]
) -> tuple[Stage, ...]:
    """Return the parts of a network that learn or change the size of what passes."""
    parts = [name for name in sizes if "." not in name]
    if len(parts) <= _FEW:
        stages = [Stage(layer.name, layer.size, layer.n_parameters) for layer in layers]
    else:
        children = dict(network.named_children())
        stages = [Stage(name, sizes[name], _n_parameters(children[name])) for name in parts]
    before = [shape, *(one.size for one in stages)]
    return tuple(one for one, size in zip(stages, before, strict=False) if one.n_parameters or one.size != size)


def _n_parameters(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def _size(out: Tensor | tuple[Tensor, ...]) -> tuple[int, ...]:
    first = out if isinstance(out, Tensor) else out[0]
    return tuple(first.shape[1:])


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    window = getattr(module, "kernel_size", None)
    if window is None:
        return name
    stride, padding = getattr(module, "stride", 1), getattr(module, "padding", 0)
    parts = [_sides(window), f"stride {_sides(stride)}", f"padding {_sides(padding)}"]
    return f"{name} {', '.join(part for part in parts if part not in ('stride 1', 'padding 0'))}"


def _sides(value: int | tuple[int, ...] | str) -> str:
    """Return one number for equal sides, else both."""
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 else "×".join(map(str, value))
    return str(value)
