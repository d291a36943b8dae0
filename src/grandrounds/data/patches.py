"""Square patches on a half-overlapping grid, kept where they lie almost wholly inside one region of interest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grandrounds.specs import Spec

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels; bottom and right are one past the last
T = TypeVar("T")


class PatchSpec(Spec):
    """How regions are cut into patches; the defaults are those of Li et al., ICARCV 2014.

    Args:
        size_px: Height and width of a patch.
        stride_px: Step of the grid; half the size makes neighbours overlap by half.
        fraction: Least share of a patch's pixels inside one region.
        lung_fraction: Least share of a patch's pixels inside the lung, where a set comes with masks of it; 0 to look at
            no mask.
        max_patches: Most patches kept of one patient and one class, spread evenly; all by default.
    """

    size_px: int = Field(default=32, ge=1)
    stride_px: int = Field(default=16, ge=1)
    fraction: float = Field(default=0.75, gt=0, le=1)
    lung_fraction: float = Field(default=0, ge=0, le=1)
    max_patches: int | None = Field(default=None, ge=1)


DEMO_PATCHES = PatchSpec(max_patches=20)  # about 1,000 patches of the default 24 simulated patients


def boxes(
    mask: NDArray[np.generic], code: int, *, size_px: int = 32, stride_px: int = 16, fraction: float = 0.75
) -> list[Box]:
    """Return the boxes of the grid where at least `fraction` of the pixels carry that code, row by row.

    >>> boxes(np.ones((4, 6), np.uint8), 1, size_px=4, stride_px=2)
    [(0, 0, 4, 4), (0, 2, 4, 6)]
    """
    height, width = mask.shape
    if min(height, width) < size_px:
        return []
    # Summed-area table: the pixels inside any box are four look-ups, however large the box is.
    area = np.pad(np.cumsum(np.cumsum(mask == code, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))  # (H+1, W+1)
    top = np.arange(0, height - size_px + 1, stride_px)[:, None]
    left = np.arange(0, width - size_px + 1, stride_px)[None, :]
    bottom, right = top + size_px, left + size_px
    inside = area[bottom, right] - area[top, right] - area[bottom, left] + area[top, left]
    kept = np.argwhere(inside >= fraction * size_px**2) * stride_px
    return [(int(y), int(x), int(y) + size_px, int(x) + size_px) for y, x in kept]


def spread(items: Sequence[T], n: int | None) -> list[T]:
    """Return at most `n` of the items at even distances, always the same ones.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    if n is None or len(items) <= n:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, n).round().astype(int)]


def thinned(rows: Sequence[dict[str, Any]], n: int | None) -> list[dict[str, Any]]:
    """Return the rows with at most `n` of each patient and label, spread evenly; groups in the order they come."""
    groups: dict[tuple[str, str | None], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["patient"], row["label"]].append(row)
    return [row for group in groups.values() for row in spread(group, n)]
