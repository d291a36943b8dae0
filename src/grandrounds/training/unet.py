"""A U-Net that finds the lungs in sections of a chest CT: how it is trained, kept and applied.

Reference: Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image segmentation. MICCAI
2015:234. The network and the loss are MONAI's; it reads sections of one pixel size, so that it knows how large a lung
is, and what it gives is brought back to the pixels of the image.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from grandrounds import registry, seeds
from grandrounds.specs import Spec
from grandrounds.training import augment, machine
from grandrounds.training.spec import TrainingSpec

_LOW_HU, _HIGH_HU = -1000.0, 400.0  # become 0 and 1
_FRAME_PX = (96, 128)  # rows and columns that training sections lie in
_DIVISOR = 8  # what three halvings need
_MOVES = TrainingSpec(shift=0.1, rotate_deg=10.0, zoom=0.25, gain=0.0)
_NOISE, _GAIN = 0.03, 0.1
_CUT = 0.2  # of the frame that a narrow field of view leaves out at most on each side: wall, seldom lung
_ABREAST = 16
_Plane = NDArray[np.floating[Any]]  # (H, W)
_Mask = NDArray[np.bool_]


class UNetSpec(Spec):
    """How the U-Net is built and trained.

    Args:
        pixel_mm: Distance of the pixels that it reads.
        channels: Of its levels, from the finest.
        epochs: Passes over the sections.
        batch_size: Sections in a step.
        learning_rate: At the start; it falls to zero along a cosine.
    """

    pixel_mm: float = Field(default=3.0, gt=0)
    channels: tuple[int, int, int, int] = (16, 32, 64, 128)
    epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=8, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)


@dataclass(frozen=True, slots=True)
class Section:
    """What is learned from: attenuation (H, W), where the lungs are, and the distance of the pixels."""

    hu: _Plane
    lungs: _Mask
    pixel_mm: float


class Pass(NamedTuple):
    """One pass over the sections: its number, how many there will be, the mean loss, seconds since the beginning."""

    epoch: int
    n_epochs: int
    loss: float
    time_s: float


def built(spec: UNetSpec) -> nn.Module:
    """Return MONAI's U-Net: sections (B, 1, H, W) to logits of the same shape.

    Raises:
        MissingExtra: MONAI is not installed.
    """
    network: nn.Module = registry.load("monai.networks.nets.unet:UNet", requires=("monai",), wanted_by="the U-Net")(
        spatial_dims=2, in_channels=1, out_channels=1, channels=spec.channels, strides=(2,) * (len(spec.channels) - 1),
        num_res_units=1, norm="batch",
    )  # fmt: skip
    return network


def train(network: nn.Module, sections: Sequence[Section], spec: UNetSpec, seed: int) -> Iterator[Pass]:
    """Train the network in place and yield a record after each pass.

    Half of the sections are shown as one lung alone, as images of a narrow field of view show it, and half upside down,
    since files differ in which way rows run.
    """
    loss_of = registry.load("monai.losses.dice:DiceCELoss", requires=("monai",))(sigmoid=True, batch=True)
    pairs = torch.from_numpy(np.stack([_framed(one, spec.pixel_mm) for one in sections]))  # (N, 2, H, W)
    draws = torch.Generator().manual_seed(seeds.derive(seed, "U-Net"))
    optimiser = torch.optim.AdamW(network.parameters(), lr=spec.learning_rate)
    n_batches = max(1, round(len(pairs) / spec.batch_size))
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, spec.epochs * n_batches)
    began = time.perf_counter()
    network.train()
    for epoch in range(1, spec.epochs + 1):
        losses = []
        for rows in torch.tensor_split(torch.randperm(len(pairs), generator=draws), n_batches):
            images, truth = _changed(pairs[rows], draws)
            loss = loss_of(network(images), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            losses.append(float(loss.detach()))
        yield Pass(epoch, spec.epochs, float(np.mean(losses)), time.perf_counter() - began)
    network.eval()


@torch.inference_mode()
def lungs_by(network: nn.Module, planes: _Plane, spacing_mm: tuple[float, float], pixel_mm: float) -> _Mask:
    """Return where a trained network sees lung in planes (D, H, W) of Hounsfield units.

    Args:
        network: In evaluation mode.
        planes: The sections.
        spacing_mm: Distance of their rows and of their columns.
        pixel_mm: What the network reads.
    """
    height, width = planes.shape[-2:]
    size = (max(1, round(height * spacing_mm[0] / pixel_mm)), max(1, round(width * spacing_mm[1] / pixel_mm)))
    found = np.zeros(planes.shape, dtype=np.bool_)
    for start in range(0, len(planes), _ABREAST):
        some = np.stack([_resized(_scaled(plane), size) for plane in planes[start : start + _ABREAST]])  # (B, h, w)
        margins = [(0, -side % _DIVISOR) for side in size]
        batch = torch.from_numpy(np.pad(some, [(0, 0), *margins]))[:, None]  # (B, 1, h, w)
        probs = torch.sigmoid(network(batch))[:, 0, : size[0], : size[1]].numpy()
        for k, one in enumerate(probs, start):
            found[k] = cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    return found


def fitted(sections: Sequence[Section], spec: UNetSpec, seed: int, threads: int) -> Iterator[Pass | nn.Module]:
    """Yield a record after each pass and at last the trained network, the same for the same seed and threads."""
    with machine.reserved(threads, seeds.derive(seed, "U-Net weights")):
        network = built(spec)
        yield from train(network, sections, spec, seed)
    yield network


def _framed(section: Section, pixel_mm: float) -> NDArray[np.float32]:
    """Return image and truth in the middle of a frame of air, (2, H, W)."""
    size = tuple(round(side * section.pixel_mm / pixel_mm) for side in section.hu.shape)
    image, truth = _resized(_scaled(section.hu), size), _resized(section.lungs.astype(np.float32), size) > 0.5
    frame = np.zeros((2, *_FRAME_PX), dtype=np.float32)
    rows, columns = (min(side, most) for side, most in zip(size, _FRAME_PX, strict=True))
    top, left = ((most - side) // 2 for side, most in zip((rows, columns), _FRAME_PX, strict=True))
    frame[0, top : top + rows, left : left + columns] = image[:rows, :columns]
    frame[1, top : top + rows, left : left + columns] = truth[:rows, :columns]
    return frame


def _changed(pairs: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images and truth (B, 1, H, W), moved alike; the images also in contrast, brightness and noise."""
    halved, upside_down = (torch.rand(len(pairs), 1, 1, 1, generator=draws) < 0.5 for _ in range(2))
    pairs = torch.where(halved & ~_narrow(len(pairs), draws), 0.0, pairs)
    pairs = torch.where(upside_down, pairs.flip(-2), pairs)
    change = augment.draw(tuple(pairs.shape[2:]), len(pairs), _MOVES, draws, flips=True)
    pairs = augment.apply(pairs, change, draws)
    images, truth = pairs[:, :1], (pairs[:, 1:] > 0.5).float()
    contrast, brightness = (_GAIN * (2 * torch.rand(len(pairs), 1, 1, 1, generator=draws) - 1) for _ in range(2))
    noise = _NOISE * torch.rand(len(pairs), 1, 1, 1, generator=draws) * torch.randn(images.shape, generator=draws)
    return images * (1 + contrast) + brightness / 2 + noise, truth


def _narrow(n: int, draws: torch.Generator) -> Tensor:
    """Return what a narrow field of view about the lung on the left shows, (N, 1, H, W); mirroring makes it either."""
    height, width = _FRAME_PX
    above, below, beside = (_CUT * torch.rand(n, 1, 1, generator=draws) for _ in range(3))
    rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    high = (rows >= above * height) & (rows < (1 - below) * height)
    return (high & (columns >= beside * width) & (columns < width // 2))[:, None]


def _scaled(hu: _Plane) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = ((hu.astype(np.float32) - _LOW_HU) / (_HIGH_HU - _LOW_HU)).clip(0, 1)
    return scaled


def _resized(plane: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    return cv2.resize(plane, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
