"""A picture to look at: sections with what was found in them in orange."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from grandrounds.image import Image
from grandrounds.masking.agreement import Mask

_TILE_PX = 200
_ORANGE = np.array([240, 120, 40])


def tile(image: Image, mask: Mask) -> NDArray[np.uint8]:
    """Return the plane with most lung, the lung in orange, small."""
    planes, masks = (one.reshape(-1, *image.space[-2:]) for one in (image.pixels[0], mask))  # (D, H, W)
    k = int(masks.sum(axis=(1, 2)).argmax())
    grey = np.clip((planes[k].astype(np.float32) + 1000) / 1400, 0, 1)[..., None] * np.full(3, 255.0)  # (H, W, 3)
    grey[masks[k]] = 0.65 * grey[masks[k]] + 0.35 * _ORANGE
    height, width = grey.shape[:2]
    shrink = _TILE_PX / max(height, width)
    small = cv2.resize(
        grey, (max(1, round(width * shrink)), max(1, round(height * shrink))), interpolation=cv2.INTER_AREA
    )
    framed = np.zeros((_TILE_PX, _TILE_PX, 3), dtype=np.uint8)
    framed[: small.shape[0], : small.shape[1]] = small.round()
    return framed


def sheet(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return tiles, four in a row, on black."""
    across = 4
    blank = [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    rows = [*tiles, *blank]
    return np.vstack([np.hstack(rows[at : at + across]) for at in range(0, len(rows), across)])
