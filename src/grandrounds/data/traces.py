"""What an image carries besides the finding: how it was stored, what its edge looks like, whether writing is on it.

Measured on pixels as the file has them, before any preparation. Nothing here enters a table that is kept; the shortcut
probes of `grandrounds inspect` read it and forget it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.image import Image
from grandrounds.shapes import Pixels

EDGE_SHARE = 0.02  # of a side, that counts as the edge of an image
LEAST_TEXT_PX = 128  # sides of the smallest image that can hold writing which anybody could read
_LETTER_PX = (5, 48)  # height of a line of writing
_STROKE_PX = 7  # writing is thinner than this
_WHITE, _STEP = 225, 70  # of 255: writing is nearly white, and stands out by this much from what is around it
_WORD = (1.2, 0.15, 0.9)  # least width for the height of a word, and the share of its box that its strokes fill

_STORED = ("format", "compression", "photometric", "bits_stored", "conversion")
_SAID = ("manufacturer", "scanner", "station", "kernel", "view", "kvp", "thickness_mm", "body_part", "side")
_SIDES = ("top", "bottom", "left", "right")
_CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
TRACES: Mapping[str, pl.DataType] = MappingProxyType(
    {
        "sample": pl.String(),
        "channels": pl.Int64(),
        "bits_used": pl.Int64(),  # from the highest bit that any value has to the lowest; null for fractions
        **{name: pl.String() for name in (*_STORED, *_SAID)},
        **{f"{what}_{side}": pl.Float64() for what in ("mean", "sd", "flat") for side in _SIDES},
        **{f"text_{place}": pl.Float64() for place in ("all", *_CORNERS)},
    }
)

_Plane = NDArray[np.float32]


def traces_of(image: Image) -> dict[str, str | float | None]:
    """Return the traces of one image by the columns of `TRACES`, but for its name; of a volume its middle slice's."""
    pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[:, image.pixels.shape[1] // 2]  # (C, H, W)
    plane = pixels.astype(np.float32).mean(axis=0)
    return {
        "channels": len(pixels),
        "bits_used": _bits_used(pixels),
        **{name: image.header.get(name) for name in (*_STORED, *_SAID)},
        **_edge(plane),
        **_writing(plane),
    }


def _bits_used(pixels: Pixels) -> int | None:
    """Return how many bits the values make use of; 8-bit values that were spread over 16 bits still use eight or so."""
    if pixels.dtype.kind not in "iub":
        return None
    size = pixels if pixels.dtype.kind in "ub" else np.abs(pixels).view(f"u{pixels.dtype.itemsize}")
    together = int(np.bitwise_or.reduce(size, axis=None))
    return together.bit_length() - ((together & -together).bit_length() - 1 if together else 0)


def _edge(plane: _Plane) -> dict[str, float]:
    """Return mean and deviation of the pixels at each side, and the share of lines from there that have one value."""
    found: dict[str, float] = {}
    for side, lines in zip(_SIDES, (plane, plane[::-1], plane.T, plane.T[::-1]), strict=True):
        outermost = lines[: max(1, round(EDGE_SHARE * len(lines)))]
        is_flat = lines.min(axis=1) == lines.max(axis=1)
        n_flat = len(lines) if is_flat.all() else int(is_flat.argmin())
        found |= {
            f"mean_{side}": float(outermost.mean()),
            f"sd_{side}": float(outermost.std()),
            f"flat_{side}": n_flat / len(lines),
        }
    return found


def _writing(plane: _Plane) -> dict[str, float | None]:
    """Return the share of the image, and of each quarter, that boxes of burned-in writing cover; None in a small one.

    Writing is nearly white, thin, and stands in words that are wider than high.
    """
    if min(plane.shape) < LEAST_TEXT_PX:
        return dict.fromkeys((f"text_{place}" for place in ("all", *_CORNERS)), None)
    low, high = float(plane.min()), float(plane.max())
    grey = np.rint((plane - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
    stands_out = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    strokes = ((grey >= _WHITE) & (stands_out >= _STEP)).astype(np.uint8)
    covered = np.zeros(plane.shape, bool)
    if strokes.any():
        words = cv2.dilate(strokes, np.ones((1, _STROKE_PX), np.uint8))  # letters of a word touch
        _, _, boxes, _ = cv2.connectedComponentsWithStats(words)
        for left, top, width, height, _ in boxes[1:]:
            box = np.s_[top : top + height, left : left + width]
            if _is_word(int(width), int(height), float(strokes[box].mean())):
                covered[box] = True
    rows, columns = (side // 2 for side in plane.shape)
    halves = ((np.s_[:rows], np.s_[rows:]), (np.s_[:columns], np.s_[columns:]))
    quarters = [covered[row, column] for row in halves[0] for column in halves[1]]
    return {
        "text_all": float(covered.mean()),
        **{f"text_{place}": float(quarter.mean()) for place, quarter in zip(_CORNERS, quarters, strict=True)},
    }


def _is_word(width: int, height: int, filled: float) -> bool:
    least_width, least_filled, most_filled = _WORD
    is_line = _LETTER_PX[0] <= height <= _LETTER_PX[1] and width >= least_width * height
    return is_line and least_filled <= filled <= most_filled
