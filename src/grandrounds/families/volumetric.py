"""MONAI's networks in three dimensions, built by their names for the volumes and classes at hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from grandrounds import registry
from grandrounds.errors import BadData
from grandrounds.families.built import Network, Shape
from grandrounds.families.params_of_monai import MONAI, MonaiParams
from grandrounds.families.zoo import MISFIT, fitting

_SIDES_PX = (8, 12, 16, 24, 32, 48, 64, 96, 128)
_PATCH_PX = (4, 8, 8)  # of slices, rows and columns: what a patch of a transformer is near to


def of_monai(params: MonaiParams, shape: Shape, n_classes: int) -> Network:
    """Return a network of MONAI for volumes (C, D, H, W).

    Raises:
        BadData: The volumes are too small for it; the message says which would do.
        MissingExtra: MONAI is not installed.
    """
    name = f"monai:{params.model}"
    try:
        built = fitting(name, shape, n_classes, partial(_created, params, shape, n_classes))
    except BadData as error:
        raise BadData(error.what, remedy=_large_enough(params, shape, n_classes) or error.remedy) from None
    options = ", ".join(f"{name} {value}" for name, value in sorted(params.of.items()))
    return built._replace(note=f"{built.note}{f' with {options}' if options else ''}, trained from scratch")


def _large_enough(params: MonaiParams, shape: Shape, n_classes: int) -> str | None:
    """Return a remedy that says which volumes the network reads, no larger than these along any axis that will do."""
    for side in _SIDES_PX:
        space = tuple(max(side, own) for own in shape[1:])
        try:
            with torch.device("meta"), torch.no_grad():  # shapes without numbers
                _created(params, (shape[0], *space), n_classes).eval()(torch.zeros(1, shape[0], *space))
        except MISFIT:
            continue
        size = "×".join(map(str, space))
        return f'it reads volumes of {size}: make them so with the step "format_stack", or leave this family out'
    return None


def _created(params: MonaiParams, shape: Shape, n_classes: int) -> nn.Module:
    known = MONAI[params.model]
    create = registry.load(known.path, requires=("monai",), wanted_by=f"monai:{params.model}")
    options: dict[str, Any] = {known.channels: shape[0], known.classes: n_classes, "spatial_dims": 3, **known.fixed}
    if params.model != "vit":
        module: nn.Module = create(**options, **params.of)
        return module
    patch = tuple(_dividing(side, near) for side, near in zip(shape[1:], _PATCH_PX, strict=True))
    return FirstOutput(create(**options, **{"img_size": shape[1:], "patch_size": patch, **params.of}))


def _dividing(side: int, near: int) -> int:
    """Return the divisor of a side that is nearest to a number, the larger of two.

    >>> _dividing(36, 4), _dividing(18, 8), _dividing(64, 8)
    (4, 9, 8)
    """
    return min((one for one in range(1, side + 1) if side % one == 0), key=lambda one: (abs(one - near), -one))


class FirstOutput(nn.Module):
    """A network of several outputs, of which the first is the logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (B, K)."""
        logits: Tensor = self.network(volumes)[0]
        return logits
