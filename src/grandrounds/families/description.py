"""What a network is made of: the layers that were really built, what each gives, and what it costs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from grandrounds import families
from grandrounds.errors import BadData, BadSpec
from grandrounds.families import probe
from grandrounds.families.architectures import ARCHITECTURES
from grandrounds.families.built import Network, Shape, resized_to
from grandrounds.families.params import ProbeParams
from grandrounds.families.recipes import nested
from grandrounds.specs import Spec

_NOTHING = (nn.Identity, nn.Dropout)  # once training is over
_FEWEST_CLASSES = 2
_FEW = 3  # parts: of a network of so few, the parts of each are drawn
_USUAL: Mapping[int, Shape] = {2: (1, 64, 64), 3: (1, 16, 64, 64)}  # images, by their axes of space
_INNER = "network."  # path of what reads planes inside a network of volumes; a drawing has no room for it
_PER_MULTIPLY_ADD = 2  # torch counts a multiplication and an addition as two operations


class Layer(NamedTuple):
    """One layer, in the order in which an image passes.

    Args:
        name: Its path in the network, such as `layer1.0.conv1`.
        kind: What it is, with kernel, stride and padding where it has them.
        size: What it gives for one image: (C, H, W), (tokens, channels) or (units,); for a volume (C, D, H, W), or what
            a network of planes gives for each slice.
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
        shape: (C, H, W) of the images, of volumes (C, D, H, W).
        layers: Those that an image passes.
        stages: Its parts, for a drawing; the parts of each where there are few.
        n_parameters: All learned numbers, also of heads that are left out after training.
        n_multiply_adds: For one image; products inside attention are in no layer, and counted here.
    """

    note: str
    shape: Shape
    layers: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    n_parameters: int
    n_multiply_adds: int


def describe(name: str, params: Mapping[str, Any], shape: Shape | None, n_classes: int) -> Description:
    """Return the layers of a family's network.

    Args:
        name: Of the family.
        params: Its parameters, over the defaults; `teacher.width` is what stands in the table `teacher`.
        shape: (C, H, W) of the images, of volumes (C, D, H, W); None for grey ones of 64 pixels a side, of 16 slices
            where the family reads volumes alone.
        n_classes: How many classes it tells apart.

    Raises:
        BadSpec: The family has no network.
        BadData: The network does not read images of this shape.
    """
    if n_classes < _FEWEST_CLASSES:
        raise BadSpec(f"a classifier tells apart two classes or more, not {n_classes}", remedy="give --classes 2")
    spec = families.params_of(name, nested(params))
    network = _network_of(name, spec)
    inner = resized_to(getattr(spec, "side_px", None), _readable(name, shape))
    built = network(spec, inner, n_classes)
    return _described(built.note, built.module.eval(), inner)


def _network_of(name: str, spec: Spec) -> Callable[..., Network]:
    """Return what builds a family's network from its parameters, the shape of the images and the number of classes."""
    if isinstance(spec, ProbeParams):
        return probe.network
    for architecture in ARCHITECTURES.values():
        if architecture.params is type(spec):
            return architecture.network
    member = getattr(spec, "member", None)
    remedy = f"draw what it is made of: grandrounds describe {member}" if member else None
    raise BadSpec(
        f"{name} has no network of its own to draw",
        remedy=remedy or "see what it does with: grandrounds list families",
    )


def _readable(name: str, shape: Shape | None) -> Shape:
    """Return the shape of images, or a usual one, if the family reads planes or volumes as these are."""
    dims = families.FAMILIES.get(name).dims
    if shape is None:
        return _USUAL[min(dims)]
    if len(shape) - 1 in dims:
        return shape
    size = "×".join(map(str, shape))
    if 3 in dims:
        raise BadData(
            f"{name} reads volumes, and {size} is no size of one",
            remedy="give channels, slices, height and width, as in --size 1x16x64x64",
        )
    raise BadData(
        f"{name} reads planes, and {size} is no size of one",
        remedy="give channels, height and width, as in --size 1x64x64",
    )


def _described(note: str, network: nn.Module, shape: Shape) -> Description:
    """Return what one image passes on its way through a network."""
    sizes: dict[str, tuple[int, ...]] = {}

    def noting(name: str) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
        def note(_module: nn.Module, _given: object, out: Tensor | tuple[Tensor, ...]) -> None:
            sizes[name] = _size(out)

        return note

    modules = dict(network.named_modules())
    hooks = [module.register_forward_hook(noting(name)) for name, module in modules.items() if name]
    network.requires_grad_(requires_grad=False)  # or torch would follow what it counts backwards, and lose some
    # Fused attention is not counted; the plain products that it stands for are.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _unfused_layers():
        network(torch.linspace(0, 1, math.prod(shape)).view(1, *shape))  # dark nowhere, or unet-swin would skip it
    for hook in hooks:
        hook.remove()
    # What holds layers that nothing passes by themselves, as torch's attention does, is a layer itself.
    holders = {name[:at] for name in sizes for at, letter in enumerate(name) if letter == "."}
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
        if name not in holders and not isinstance(modules[name], _NOTHING)
    )
    return Description(
        note, shape, layers, _stages(network, shape, sizes), _n_parameters(network),
        operations.get("Global", 0) // _PER_MULTIPLY_ADD,
    )  # fmt: skip


@contextlib.contextmanager
def _unfused_layers() -> Iterator[None]:
    """Let torch's transformer layers compute their parts one by one in this block."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _stages(network: nn.Module, shape: Shape, sizes: Mapping[str, tuple[int, ...]]) -> tuple[Stage, ...]:
    """Return the parts of a network that learn or change the size of what passes."""
    modules = dict(network.named_modules())
    parts = list(_parts(network, "", sizes))
    if len(parts) <= _FEW:
        parts = [inner for name in parts for inner in list(_parts(modules[name], f"{name}.", sizes)) or [name]]
    stages = [
        Stage(name.removeprefix(_INNER), size, _n_parameters(modules[name]))
        for name, size in sizes.items()
        if name in parts
    ]
    before = [shape, *(one.size for one in stages)]
    return tuple(one for one, size in zip(stages, before, strict=False) if one.n_parameters or one.size != size)


def _parts(module: nn.Module, path: str, sizes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """Yield the paths of a module's children that an image passes; of a list, which only holds them, those inside."""
    for name, child in module.named_children():
        if path + name in sizes:
            yield path + name
        else:
            yield from _parts(child, f"{path}{name}.", sizes)


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
    rounding = "rounded up" if getattr(module, "ceil_mode", False) else ""
    parts = [_sides(window), f"stride {_sides(stride)}", f"padding {_sides(padding)}", *filter(None, [rounding])]
    return f"{name} {', '.join(part for part in parts if part not in ('stride 1', 'padding 0'))}"


def _sides(value: int | tuple[int, ...] | str) -> str:
    """Return one number for equal sides, else both."""
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 else "×".join(map(str, value))
    return str(value)
