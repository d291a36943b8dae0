"""Random changes of a batch that keep its labels; drawn first, then applied, all on tensors.

One affine resampling serves shift, rotation and mirroring, in two dimensions and in three: the rotation is in the
plane of the last two axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that everybody uses)
from torch import Tensor

from grandrounds.training.spec import TrainingSpec


@dataclass(frozen=True, slots=True)
class Draw:
    """What will be done to each image.

    Args:
        affine: (N, axes, axes + 1), where each pixel comes from, in half sides; None where images stay in place.
        contrast: (N,), factor about the middle of the range 0 to 1; None where grey values stay.
        brightness: (N,), added; None where grey values stay.
        noise: Standard deviation of noise to add.
    """

    affine: Tensor | None
    contrast: Tensor | None = None
    brightness: Tensor | None = None
    noise: float = 0.0

    def of(self, rows: Tensor) -> Draw:
        """Return the draw of these images alone."""
        affine, contrast, brightness = (
            None if one is None else one[rows] for one in (self.affine, self.contrast, self.brightness)
        )
        return Draw(affine, contrast, brightness, self.noise)


def draw(space: tuple[int, ...], n: int, spec: TrainingSpec, generator: torch.Generator, *, flips: bool) -> Draw:
    """Return random changes for `n` images of that space, (H, W) or (D, H, W)."""

    def uniform(*size: int) -> Tensor:
        return 2 * torch.rand(*size, generator=generator) - 1

    sides = torch.tensor(space[::-1], dtype=torch.float32)  # width first, as affine grids have it
    shift_px = (uniform(n, len(space)) * spec.shift * sides).round()
    angle_rad = uniform(n) * math.radians(spec.rotate_deg)
    mirrored = torch.where(uniform(n) < 0, -1.0, 1.0) if flips else torch.ones(n)
    moved = bool(spec.shift or spec.rotate_deg or flips)
    return Draw(
        affine=affine(space, shift_px, angle_rad, mirrored) if moved else None,
        contrast=1 + uniform(n) * spec.gain if spec.gain else None,
        brightness=uniform(n) * spec.gain / 2 if spec.gain else None,
        noise=spec.noise,
    )


def affine(space: tuple[int, ...], shift_px: Tensor, angle_rad: Tensor, mirrored: Tensor) -> Tensor:
    """Return where each pixel of each image comes from, (N, axes, axes + 1).

    Args:
        space: (H, W) or (D, H, W).
        shift_px: (N, axes), along width, height and depth.
        angle_rad: (N,), in the plane of height and width.
        mirrored: (N,), -1 where left and right change places, else 1.
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
        batch = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    if change.contrast is not None and change.brightness is not None:
        per_image = (-1,) + (1,) * (batch.ndim - 1)
        contrast, brightness = (one.to(batch).view(per_image) for one in (change.contrast, change.brightness))
        batch = (batch - 0.5) * contrast + 0.5 + brightness
    if change.noise:
        batch = batch + change.noise * torch.randn(batch.shape, generator=generator).to(batch)
    return batch
