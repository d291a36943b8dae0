"""The networks behind the iterating families, each built from its parameters and the shape of the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import timm
from torch import nn

from grandrounds import families
from grandrounds.errors import BadSpec
from grandrounds.families import params as kinds
from grandrounds.families import plain, transformers, volumetric, zoo
from grandrounds.families.built import Network, Shape, at_least
from grandrounds.families.params import DeiTParams, Li2014Params, ResNetParams
from grandrounds.families.params_of_monai import MonaiParams
from grandrounds.families.params_of_others import JointParams, SlicesParams, TransMedParams
from grandrounds.nets.joint import Joint
from grandrounds.nets.li2014 import MIN_SIDE_PX, Li2014
from grandrounds.nets.shortcut import PaddedIdentity
from grandrounds.nets.slices import Slices
from grandrounds.nets.transmed import TransMed
from grandrounds.training.spec import TrainingSpec

_OfPlanes = SlicesParams | TransMedParams | JointParams  # what lets a network of planes read volumes
_SMALL_PX = 64  # up to here a network may not shrink the image before its first block


def li2014(params: Li2014Params, shape: Shape, n_classes: int) -> Network:
    """Return the network of Li et al."""
    at_least("li2014", MIN_SIDE_PX, shape)
    average = params.pooling == "average"
    n_channels, height, width = shape
    module = Li2014(n_channels, height, width, n_classes, dropout=params.dropout, average=average)
    return Network(module, f"Li 2014 network with {params.pooling} pooling and dropout {params.dropout:g}")


def resnet(params: ResNetParams, shape: Shape, n_classes: int) -> Network:
    """Return timm's residual network with any width and with the stem that suits the images."""
    at_least(params.variant, 8, shape)
    channels = tuple(max(8, 8 * round(width * params.width / 8)) for width in (64, 128, 256, 512))
    small = params.stem == "small" or (params.stem == "auto" and min(shape[1:]) <= _SMALL_PX)
    # timm fixes a plain stem at 64 channels; the deep one takes any width, and we put one convolution in its place.
    module = timm.create_model(
        params.variant, in_chans=shape[0], num_classes=n_classes, channels=channels, stem_type="deep",
        stem_width=channels[0] // 2, drop_rate=params.dropout, drop_path_rate=params.drop_path,
    )  # fmt: skip
    side, stride = (3, 1) if small else (7, 2)
    module.conv1 = nn.Conv2d(shape[0], channels[0], side, stride, side // 2, bias=False)
    nn.init.kaiming_normal_(module.conv1.weight, mode="fan_out", nonlinearity="relu")
    if small:
        module.maxpool = nn.Identity()
    if params.shortcut != "b":
        _replace_shortcuts(module, projected=params.shortcut == "c")
    stem = "3×3 stem without pooling" if small else "7×7 stem with stride and pooling"
    built = f"{params.variant} at {params.width:g} of its width, {stem}, shortcut {params.shortcut}"
    return Network(module, f"{built}, trained from scratch")


def _replace_shortcuts(module: Any, *, projected: bool) -> None:  # noqa: ANN401  (timm names its layers at run time)
    """Turn the shortcuts of timm's network, which are B, into C (`projected`) or A."""
    n_in = module.conv1.out_channels
    for block in (*module.layer1, *module.layer2, *module.layer3, *module.layer4):
        n_out = block.conv3.out_channels if hasattr(block, "conv3") else block.conv2.out_channels
        if projected and block.downsample is None:  # elsewhere B projects already
            projection = nn.Conv2d(n_in, n_out, 1, bias=False)
            nn.init.kaiming_normal_(projection.weight, mode="fan_out", nonlinearity="relu")
            block.downsample = nn.Sequential(projection, nn.BatchNorm2d(n_out))
        elif not projected and block.downsample is not None:
            block.downsample = PaddedIdentity(block.stride, n_out - n_in)
        n_in = n_out


def slices(params: SlicesParams, shape: Shape, n_classes: int) -> Network:
    """Return a network that reads the slices of volumes (C, D, H, W) one by one.

    Raises:
        BadSpec: The network of planes has several heads, which have no place here.
    """
    built = _of_planes(params, shape)
    module = Slices(built.module, params.n_features, n_classes, params.pooling)
    return Network(module, f"{params.pooling} over {shape[1]} slices, each read by: {built.note}")


def transmed(params: TransMedParams, shape: Shape, n_classes: int) -> Network:
    """Return a network that makes tokens of groups of slices of exams (C, D, H, W), and a transformer over them.

    Raises:
        BadSpec: The network of planes has several heads, or attention heads do not divide the token.
    """
    if params.dim % params.heads:
        raise BadSpec(f"{params.heads} heads do not divide tokens of {params.dim}", remedy="choose dim and heads so")
    built = _of_planes(params, shape)
    n_series, n_groups = params.n_series or shape[0], -(-shape[1] // params.n_group)
    module = TransMed(
        built.module, params.n_features, n_classes, n_series=n_series, n_groups=n_groups, n_group=params.n_group,
        dim=params.dim, depth=params.depth, heads=params.heads, dropout=params.dropout,
    )  # fmt: skip
    tokens = f"{n_groups} groups of {params.n_group} slices of each of {n_series} series"
    return Network(module, f"transformer of {params.depth} layers over {tokens}, each read by: {built.note}")


def joint(params: JointParams, shape: Shape, n_classes: int) -> Network:
    """Return a network that reads each series of exams (C, D, H, W) and joins them with clinical columns.

    Raises:
        BadSpec: The network of planes has several heads.
    """
    built, n_series = _of_planes(params, shape), params.n_series or shape[0] - params.n_columns
    module = Joint(
        built.module, params.n_features, n_classes, n_series=n_series, n_columns=params.n_columns, way=params.way,
        hidden=params.hidden, left_out=params.left_out,
    )  # fmt: skip
    columns = f" and {params.n_columns} numbers of clinical columns" if params.n_columns else ""
    return Network(module, f"{params.way} of {n_series} series{columns}, each series read by: {built.note}")


def _of_planes(params: _OfPlanes, shape: Shape) -> Network:
    """Return the network of planes that gives features instead of classes."""
    member, architecture, plane = _member(params, shape)
    if architecture.teaching is not None or architecture.side_heads:
        raise BadSpec(f"{params.member} is trained with several heads", remedy="name another network of planes")
    return architecture.network(member, plane, params.n_features)


def start_planes(params: _OfPlanes, shape: Shape, built: Network) -> Network:
    """Return the network with published weights for its planes where the member's parameters name some."""
    member, architecture, plane = _member(params, shape)
    if architecture.start is None:
        return built
    volume: Any = built.module
    started = architecture.start(member, plane, Network(volume.network, built.note))
    trunk = frozenset(f"network.{name}" for name in started.trunk)
    return Network(volume, started.note, trunk, started.licence)


def _member(params: _OfPlanes, shape: Shape) -> tuple[TrainingSpec, Architecture, Shape]:
    """Return the network that reads slices: its parameters, how it is built, and the (C, H, W) that it reads."""
    member = families.params_of(params.member, params.of)
    n_channels = shape[0] if isinstance(params, SlicesParams) else getattr(params, "n_group", 1)
    for architecture in ARCHITECTURES.values():
        if isinstance(member, TrainingSpec) and architecture.params is type(member):
            return member, architecture, (n_channels, *shape[2:])
    raise BadSpec(f"{params.member} is no network of planes", remedy="name one, as slices:resnet-18")


class Teaching(NamedTuple):
    """Who teaches a network, and how; see `losses.Distilled`."""

    teacher: TrainingSpec
    hard: bool
    temperature: float
    share: float


class Architecture(NamedTuple):
    """How parameters of one kind become a network.

    Args:
        start: Gives the network other weights than random ones before training, where the parameters say so; a saved
            model is built without it.
        teaching: By whom and how its second head is taught.
        any_size: Whether it reads images of other sizes than those it was trained on.
        side_heads: Whether other heads are trained along and then left out.
    """

    params: type[TrainingSpec]
    network: Callable[..., Network]
    start: Callable[..., Network] | None = None
    teaching: Callable[..., Teaching] | None = None
    any_size: bool = False
    side_heads: bool = False


def _deit_teaching(params: DeiTParams) -> Teaching:
    return Teaching(params.teacher, params.distillation == "hard", params.temperature, params.share)


# Saved models name one of these; nothing else that a file names is ever called.
ARCHITECTURES = {
    "li2014": Architecture(Li2014Params, li2014),
    "resnet": Architecture(ResNetParams, resnet),
    "vit": Architecture(kinds.ViTParams, transformers.vit),
    "deit": Architecture(DeiTParams, transformers.deit, teaching=_deit_teaching),
    "swin": Architecture(kinds.SwinParams, transformers.swin),
    "unet-swin": Architecture(kinds.UNetSwinParams, transformers.unet_swin),
    "monai": Architecture(MonaiParams, volumetric.of_monai),
    "nin": Architecture(kinds.NinParams, plain.nin),
    "alexnet": Architecture(kinds.AlexNetParams, plain.alexnet),
    "vgg": Architecture(kinds.VggParams, plain.vgg),
    "googlenet": Architecture(kinds.GoogLeNetParams, plain.googlenet, side_heads=True),
    "slices": Architecture(SlicesParams, slices, start_planes),
    "joint": Architecture(JointParams, joint, start_planes),
    "transmed": Architecture(TransMedParams, transmed, start_planes),
    "spp": Architecture(kinds.SppParams, plain.pyramid, any_size=True),
    "timm": Architecture(kinds.TimmParams, zoo.of_timm, zoo.start_timm),
    "torchvision": Architecture(kinds.TorchvisionParams, zoo.of_torchvision, zoo.start_torchvision),
}
