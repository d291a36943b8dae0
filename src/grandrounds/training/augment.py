"""Random changes of a batch that keep its labels; drawn first, then applied, all on tensors.

One resampling serves shift, rotation, zoom, mirroring and elastic displacement, in two dimensions and in three: the
rotation is in the plane of the last two axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor

from grandrounds.training.spec import TrainingSpec

_LATTICE = 4  # points a side at which elastic displacements are drawn; they are smooth between
_ERASED = (0.1, 0.4)  # sides of an erased box, as parts of the image's


@dataclass(frozen=True, slots=True)
class Draw:
    """What will be done to each image.

    Args:
        affine: (N, axes, axes + 1), where each pixel comes from, in half sides; None where images stay in place.
        warp: (N, axes, 4, 4 or 4, 4, 4), what a lattice over the image is displaced by, in half sides; None for
            nothing. It needs `affine`.
        contrast: (N,), factor about the middle of the range 0 to 1; None where grey values stay.
        brightness: (N,), added; None where grey values stay.
        noise: Standard deviation of noise to add.
        erased: (N, axes, 2), ends of a box along each axis, as parts of the side; None for no boxes.
    """

    affine: Tensor | None
    warp: Tensor | None = None
    contrast: Tensor | None = None
    brightness: Tensor | None = None
    noise: float = 0.0
    erased: Tensor | None = None

    def of(self, rows: Tensor) -> Draw:
        """Return the draw of these images alone."""
        affine, warp, contrast, brightness, erased = (
            None if one is None else one[rows]
            for one in (self.affine, self.warp, self.contrast, self.brightness, self.erased)
        )
        return Draw(affine, warp, contrast, brightness, self.noise, erased)


def draw(space: tuple[int, ...], n: int, spec: TrainingSpec, generator: torch.Generator, *, flips: bool) -> Draw:
    """Return random changes for `n` images of that space, (H, W) or (D, H, W)."""

    def uniform(*size: int) -> Tensor:
        return 2 * torch.rand(*size, generator=generator) - 1

    n_axes = len(space)
    sides = torch.tensor(space[::-1], dtype=torch.float32)  # width first, as affine grids have it
    shift_px = (uniform(n, n_axes) * spec.shift * sides).round()
    angle_rad = uniform(n) * math.radians(spec.rotate_deg)
    mirrored = torch.where(uniform(n) < 0, -1.0, 1.0) if flips else torch.ones(n)
    zoom = (uniform(n) * math.log1p(spec.zoom)).exp() if spec.zoom else torch.ones(n)
    moved = bool(spec.shift or spec.rotate_deg or spec.zoom or spec.elastic or flips)
    lattice = (n, n_axes, *(_LATTICE,) * n_axes)
    return Draw(
        affine=affine(space, shift_px, angle_rad, mirrored, zoom) if moved else None,
        warp=2 * spec.elastic * torch.randn(lattice, generator=generator) if spec.elastic else None,
        contrast=1 + uniform(n) * spec.gain if spec.gain else None,
        brightness=uniform(n) * spec.gain / 2 if spec.gain else None,
        noise=spec.noise,
        erased=_boxes(n, n_axes, spec.erase, generator) if spec.erase else None,
    )


def _boxes(n: int, n_axes: int, how_often: float, generator: torch.Generator) -> Tensor:
    """Return (N, axes, 2), ends of a box along each axis; those of an image that keeps all of itself meet at 0."""
    least, most = _ERASED
    sides = least + (most - least) * torch.rand(n, n_axes, generator=generator)
    starts = (1 - sides) * torch.rand(n, n_axes, generator=generator)
    chosen = torch.rand(n, 1, 1, generator=generator) < how_often
    return torch.stack([starts, starts + sides], dim=2) * chosen


def affine(
    space: tuple[int, ...], shift_px: Tensor, angle_rad: Tensor, mirrored: Tensor, zoom: Tensor | None = None
) -> Tensor:
    """Return where each pixel of each image comes from, (N, axes, axes + 1).

    Args:
        space: (H, W) or (D, H, W).
        shift_px: (N, axes), along width, height and depth.
        angle_rad: (N,), in the plane of height and width.
        mirrored: (N,), -1 where left and right change places, else 1.
        zoom: (N,), how many times as much of each axis is seen; None: once.
    """
    # Affine grids measure in half sides, so rotating an oblong image needs its aspect, and a shift of one pixel is
    # two parts of the side. With no rotation the sampled points fall on pixels and nothing is blurred.
    sides = torch.tensor(space[::-1], dtype=torch.float32)  # (W, H) or (W, H, D)
    cos, sin = torch.cos(angle_rad), torch.sin(angle_rad)
    aspect = sides[1] / sides[0]
    theta = torch.eye(len(space), len(space) + 1).repeat(len(cos), 1, 1)  # (N, axes, axes + 1)
    theta[:, 0, 0] = cos * mirrored
    theta[:, 0, 1] = -sin * aspect
    theta[:, 1, 0] = sin * mirrored / aspect
    theta[:, 1, 1] = cos
    if zoom is not None:
        theta *= zoom[:, None, None]
    theta[:, :, -1] = 2 * shift_px / sides
    return theta


def apply(batch: Tensor, change: Draw, generator: torch.Generator | None = None) -> Tensor:
    """Return the changed images, (B, C, …) as given; what comes in over the edge is mirrored at it.

    Args:
        batch: Images, not written to.
        change: One draw per image.
        generator: For the noise; it lives on the CPU, so that every device draws alike.
    """
    if change.affine is not None:
        grid = F.affine_grid(change.affine.to(batch), list(batch.shape), align_corners=False)
        if change.warp is not None:
            mode = "bicubic" if batch.ndim == 4 else "trilinear"
            warp = F.interpolate(change.warp.to(batch), batch.shape[2:], mode=mode, align_corners=True)
            grid = grid + warp.movedim(1, -1)  # (B, …, axes)
        batch = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    if change.contrast is not None and change.brightness is not None:
        per_image = (-1,) + (1,) * (batch.ndim - 1)
        contrast, brightness = (one.to(batch).view(per_image) for one in (change.contrast, change.brightness))
        batch = (batch - 0.5) * contrast + 0.5 + brightness
    if change.noise:
        batch = batch + change.noise * torch.randn(batch.shape, generator=generator).to(batch)
    return batch if change.erased is None else _erased(batch, change.erased.to(batch))


def _erased(batch: Tensor, boxes: Tensor) -> Tensor:
    """Return images whose boxes show each channel's mean.

    Reference: Zhong, Zheng, Kang, Li, Yang, Random erasing data augmentation, AAAI 2020.
    """
    inside = torch.ones_like(batch[:, :1], dtype=torch.bool)  # (B, 1, …)
    for axis, n_px in enumerate(batch.shape[2:]):
        at = (torch.arange(n_px, device=batch.device) + 0.5) / n_px
        along = (at >= boxes[:, axis, :1]) & (at < boxes[:, axis, 1:])  # (B, n_px)
        shape = [1] * batch.ndim
        shape[0], shape[2 + axis] = along.shape
        inside = inside & along.view(shape)
    means = batch.mean(dim=tuple(range(2, batch.ndim)), keepdim=True)  # (B, C, 1, 1)
    return torch.where(inside, means, batch)
