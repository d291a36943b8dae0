"""Pixels of nobody for synthetic copies, and how a copy saves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

SIGNED = {339: 2}  # TIFF 6.0, SampleFormat: two's complement


def noise(
    rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int, dtype: type[np.generic] = np.uint8
) -> NDArray[np.generic]:
    """Return noise from low to high that reaches high in its first pixel and nowhere else."""
    pixels = rng.integers(low, high, shape).astype(dtype)
    pixels.flat[0] = high
    return pixels


def save(path: Path, pixels: NDArray[np.generic], tiffinfo: dict[int, int] | None = None) -> None:
    """Write a picture in the format that the name's ending says, (H, W) or (H, W, C)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path, tiffinfo=tiffinfo or {})
