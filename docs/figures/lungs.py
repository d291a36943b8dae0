"""Draw docs/images/lung_mask*.png: real chest CT before the step `lung_mask`, what it finds, and after it.

Run as `python docs/figures/lungs.py lung1_image.nrrd lung2_image.nrrd`, the files named in the captions of
docs/how-to/preparation.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from grandrounds import formats
from grandrounds.prepare import build_step
from grandrounds.prepare.lungs import lungs_of

OUT = Path(__file__).parents[1] / "images"
PARTS = (0.04, 0.3, 0.55, 0.8)  # of the way from the lowest section to the highest
ORANGE = np.array([40, 120, 240])  # blue, green, red
SIDE_PX = 240


def main(path: Path, out: Path) -> None:
    """Write the picture of one volume."""
    image = build_step({"step": "hounsfield"})(formats.read(path))
    window = build_step({"step": "window"})
    mask = lungs_of(image)
    before = window(image).pixels[0]
    after = window(build_step({"step": "lung_mask"})(image)).pixels[0]
    columns = []
    for part in PARTS:
        k = round(part * (len(mask) - 1))
        found = colour(before[k])
        found[mask[k]] = 0.65 * found[mask[k]] + 0.35 * ORANGE
        columns.append(np.vstack([small(one) for one in (colour(before[k]), found, colour(after[k]))]))
    out.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(out), np.hstack(columns), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    litres = mask.sum() * np.prod(image.geometry.spacing_mm) / 1e6
    print(f"{out}: {litres:.1f} litres of lung")


def colour(grey: np.ndarray) -> np.ndarray:
    """Return (H, W) in 0 to 1 as (H, W, 3) in 0 to 255."""
    return np.repeat(grey[:, :, None] * 255, 3, axis=2)


def small(picture: np.ndarray) -> np.ndarray:
    """Return the picture in the size of one tile, 8 bits."""
    return cv2.resize(picture, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).round().astype(np.uint8)


if __name__ == "__main__":
    for given, name in zip(sys.argv[1:], ("lung_mask.png", "lung_mask_dense.png"), strict=False):
        main(Path(given), OUT / name)
