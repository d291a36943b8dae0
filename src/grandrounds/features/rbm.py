"""Features that a restricted Boltzmann machine learns from windows of images, without any label.

The pixels of a window are whitened, and each hidden unit says how likely the pattern that it learned is there.
Whitening and weights merge into one convolution, so that applying costs as much as one layer of a network.

References: Hinton GE. A practical guide to training restricted Boltzmann machines. UTML TR 2010-003, 2010. Coates A,
Lee H, Ng AY. An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011. Tieleman T. Training
restricted Boltzmann machines using approximations to the likelihood gradient. ICML 2008 (persistent chains).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor, nn

from grandrounds.errors import BadData
from grandrounds.features.spec import RbmSpec
from grandrounds.features.thumbnail import area_matrix
from grandrounds.shapes import Batch, Features

_N_WINDOWS = 20_000  # drawn from the training images, once
_FLOOR = 0.1  # of the mean variance, added to each: directions of mere noise are not blown up
_FLAT = 1e-6  # added to variances of grey values from 0 to 1, for images that are all alike
_MOMENTUM, _FIRST_MOMENTUM = 0.9, 0.5  # as the guide advises
_BLOCK_PX = 2**18  # pixels at once, which bounds the memory


class WindowFeatures(nn.Module):
    """Probabilities of hidden units, averaged over cells.

    Args:
        kernels: (hidden, 1, window, window), whitening included.
        bias: (hidden,).
        side_px: Images with a longer side are reduced to it.
        cells: Rows and columns of cells.
    """

    kernels: Tensor
    bias: Tensor

    def __init__(self, kernels: Tensor, bias: Tensor, side_px: int, cells: int) -> None:
        super().__init__()
        self.register_buffer("kernels", kernels)
        self.register_buffer("bias", bias)
        self.side_px = side_px
        self.cells = cells

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, hidden · cells²) of images (B, C, H, W)."""
        grey = _grey(images, self.side_px)
        answers = torch.sigmoid(F.conv2d(grey, self.kernels, self.bias))  # (B, hidden, rows, columns)
        return F.adaptive_avg_pool2d(answers, self.cells).flatten(1)

    @torch.inference_mode()
    def of(self, pixels: Batch) -> Features:
        """Return features (N, hidden · cells²) of images (N, C, H, W)."""
        return torch.cat([self(part) for part in self.parts(pixels)]).numpy()

    def parts(self, pixels: Batch) -> Iterator[Tensor]:
        """Return images (B, C, H, W) of all (N, C, H, W), as many at once as memory is meant to hold."""
        return _parts(pixels, self.side_px)


class Learned(NamedTuple):
    """What came of learning.

    Args:
        features: What the hidden units answer.
        remark: What a reader should be told where the machine has not learned its windows; None where it has.
    """

    features: WindowFeatures
    remark: str | None


def learn_rbm(pixels: Batch, spec: RbmSpec, generator: torch.Generator) -> Learned:
    """Return features learned from windows of these images, (N, C, H, W), by contrastive divergence of one step.

    Raises:
        BadData: Learning diverged.
    """
    grey = torch.cat([_grey(part, spec.side_px) for part in _parts(pixels, spec.side_px)])  # (N, 1, H, W)
    windows = _windows(grey, spec.window_px, generator)
    mean = windows.mean(dim=0)
    whitening = _whitening(windows - mean, spec.whitening)
    whitened = (windows - mean) @ whitening
    machine = _contrast(whitened, spec, generator)
    kernels = whitening @ machine.weights  # (window², hidden)
    if not torch.isfinite(kernels).all():
        raise BadData("learning features by rbm-svm diverged", remedy="set a smaller learning_rate for it")
    side = math.isqrt(len(kernels))
    features = WindowFeatures(
        kernels.T.reshape(-1, 1, side, side).contiguous(),  # (hidden, 1, window, window)
        machine.hidden - mean @ kernels,
        spec.side_px,
        spec.cells,
    )
    return Learned(features, _remark(machine, whitened))


class _Machine(NamedTuple):
    weights: Tensor  # (visible, hidden)
    visible: Tensor  # (visible,)
    hidden: Tensor  # (hidden,)


def _parts(pixels: Batch, side_px: int) -> Iterator[Tensor]:
    rows = max(1, _BLOCK_PX // min(pixels[0, 0].size, side_px**2))
    return (torch.tensor(pixels[at : at + rows]) for at in range(0, len(pixels), rows))


def _grey(images: Tensor, side_px: int) -> Tensor:
    grey = images.mean(dim=1, keepdim=True)  # (N, 1, H, W)
    height, width = grey.shape[2:]
    shrink = side_px / max(height, width)
    if shrink >= 1:
        return grey
    rows, columns = (
        torch.from_numpy(area_matrix(side, max(1, round(shrink * side)))).to(grey) for side in (height, width)
    )
    return rows @ grey @ columns.T


def _windows(grey: Tensor, window_px: int, generator: torch.Generator) -> Tensor:
    n, _, height, width = grey.shape
    window = min(window_px, height, width)
    image, top, left = (
        torch.randint(most, (_N_WINDOWS, 1, 1), generator=generator)
        for most in (n, height - window + 1, width - window + 1)
    )
    step = torch.arange(window)
    return grey[image, 0, top + step[:, None], left + step].flatten(1)  # (windows, window²)


def _whitening(centred: Tensor, kind: str) -> Tensor:
    if kind == "standardise":
        return torch.diag((centred.square().mean(dim=0) + _FLAT).rsqrt())
    values, vectors = torch.linalg.eigh(centred.double().T @ centred.double() / len(centred))
    lifted = values.clamp(min=0) + _FLOOR * values.mean() + _FLAT
    whitening: Tensor = vectors * lifted.rsqrt() @ vectors.T
    return whitening.float()  # (window², window²)


def _contrast(whitened: Tensor, spec: RbmSpec, generator: torch.Generator) -> _Machine:
    # Visible units are Gaussian with variance one, hidden ones are on or off.
    n, n_visible = whitened.shape
    rare = math.log(spec.sparsity / (1 - spec.sparsity))
    machine = _Machine(
        0.01 * torch.randn(n_visible, spec.n_hidden, generator=generator),
        torch.zeros(n_visible),
        torch.full((spec.n_hidden,), rare),
    )
    memory = [torch.zeros_like(part) for part in machine]
    size, chains = spec.batch_size, None
    if spec.chains == "pcd":
        chains = _drawn(torch.full((size, spec.n_hidden), spec.sparsity), generator)
    for one_pass in range(spec.passes):
        momentum = _MOMENTUM if one_pass else _FIRST_MOMENTUM
        order = torch.randperm(n, generator=generator)
        for start in range(0, n, size):
            rate = spec.learning_rate * (1 - (one_pass + start / n) / spec.passes)
            uphill, dreaming = _uphill(machine, whitened[order[start : start + size]], chains, spec, generator)
            chains = None if chains is None else dreaming
            for part, past, change in zip(machine, memory, uphill, strict=True):
                part.add_(past.mul_(momentum).add_(change, alpha=rate))
    return machine


def _remark(machine: _Machine, whitened: Tensor) -> str | None:
    """Return a word on a machine that makes of its windows something worse than their mean."""
    seen = torch.sigmoid(whitened @ machine.weights + machine.hidden)
    error = float((whitened - seen @ machine.weights.T - machine.visible).square().mean())
    variance = float(whitened.square().mean())
    if error < variance or not variance:
        return None
    return (
        f"the Boltzmann machine has not learned its windows: squared error {error:.3g} where their variance is "
        f'{variance:.3g}; a smaller learning_rate or chains = "cd" may help'
    )


def _uphill(
    machine: _Machine, data: Tensor, chains: Tensor | None, spec: RbmSpec, generator: torch.Generator
) -> tuple[_Machine, Tensor]:
    """Return what the data say less what the machine makes of itself, and the hidden units (B, hidden) that it ends at.

    Args:
        machine: Where it stands.
        data: (B, visible).
        chains: Hidden units at which the machine begins, (any, hidden); None to begin at those of the data.
        spec: How fast weights fade, and which share of the data a hidden unit is drawn to answer to.
        generator: Draws hidden units.
    """
    seen = torch.sigmoid(data @ machine.weights + machine.hidden)
    on = _drawn(seen, generator) if chains is None else chains
    dreamt = on @ machine.weights.T + machine.visible  # its mean: the noise of Gaussian units slows learning down
    answer = torch.sigmoid(dreamt @ machine.weights + machine.hidden)
    change = _Machine(
        data.T @ seen / len(data) - dreamt.T @ answer / len(dreamt) - spec.weight_decay * machine.weights,
        data.mean(dim=0) - dreamt.mean(dim=0),
        seen.mean(dim=0) - answer.mean(dim=0) + spec.sparsity - seen.mean(dim=0),
    )
    return change, _drawn(answer, generator) if chains is not None else answer


def _drawn(probs: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.rand(probs.shape, generator=generator) < probs).float()
