"""How images and weights lie in memory: channels last, as convolutions want them.

Images of planes stay in memory as one tensor; volumes are read from the disk when a step asks for them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from grandrounds.shapes import Images

_LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}


def lay_out(network: nn.Module) -> None:
    """Bring the weights of convolutions, of planes and of volumes, into the order that batches have in memory."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            layer.to(memory_format=_LAYOUT[layer.weight.ndim])


def laid_out(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) or (B, C, D, H, W) in that order, copied only where they lie otherwise."""
    return images.contiguous(memory_format=_LAYOUT[images.ndim])


def reader_of(pixels: Images, device: str) -> Callable[[Tensor], Tensor]:
    """Return what gives images (B, H, W, C) by their rows: from memory, or read anew each time."""
    if not isinstance(pixels, np.ndarray):
        return lambda rows: resident(pixels[rows.numpy()], device)
    images = resident(pixels, device)
    return lambda rows: images[rows]


def resident(pixels: Images, device: str) -> Tensor:
    """Return images (N, C, H, W) as a tensor (N, H, W, C), of which a batch by index lies as convolutions want it."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(np.asarray(pixels), 1, -1)), device=device)


def as_channels_first(images: Tensor) -> Tensor:
    """Return images (B, H, W, C) as (B, C, H, W), or (B, D, H, W, C) as (B, C, D, H, W), without a copy."""
    return images.movedim(-1, 1)
