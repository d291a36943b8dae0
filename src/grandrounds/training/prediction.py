"""Probabilities of a network for many images, as many at once as memory holds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from grandrounds.shapes import Images, Probs
from grandrounds.training import machine
from grandrounds.training.canvas import by_size
from grandrounds.training.layout import as_channels_first, resident
from grandrounds.training.parts import at_once, n_series_of, n_slices

_PREDICT_BATCH = 256


@torch.inference_mode()
def predict(network: nn.Module, pixels: Images, device: str = "cpu", *, any_size: bool = False) -> Probs:
    """Return probabilities (N, K); rows sum to 1.

    Args:
        network: Gives logits.
        pixels: (N, C, H, W).
        device: Where it runs.
        any_size: Whether each image is read at its own size, without what lies outside it on its canvas.
    """
    network.eval()
    if not any_size:
        return _probs(network, pixels, device)
    canvas = np.asarray(pixels)
    groups = by_size(canvas)
    parts = [_probs(network, canvas[rows, :, :height, :width], device) for (height, width), rows in groups]
    order = np.argsort(np.concatenate([group.rows for group in groups]))
    probs: Probs = np.concatenate(parts)[order]
    return probs


def _probs(network: nn.Module, pixels: Images, device: str) -> Probs:
    space = pixels.shape[2:]
    n_abreast = at_once(space, max(1, _PREDICT_BATCH // n_slices(space)), n_series_of(network))
    rows = list[Tensor]()
    at = 0
    while at < len(pixels):
        try:
            rows.append(network(as_channels_first(resident(pixels[at : at + n_abreast], device))).cpu())
        except RuntimeError as error:
            if n_abreast == 1 or not machine.is_out_of_memory(error):
                raise
            n_abreast //= 2
        else:
            at += n_abreast
    return torch.softmax(torch.cat(rows).double(), dim=1).numpy()  # (N, K); not every device has doubles
