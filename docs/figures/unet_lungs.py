"""Draw docs/images/lung_mask_unet*.png: what thresholds and the U-Net of `grandrounds mask` find.

Run as `python docs/figures/unet_lungs.py MODEL lung2_image.nrrd`: the folder `model` that `grandrounds mask` leaves,
and the file named in the caption of docs/how-to/lung-masks.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from lungs import ORANGE, OUT, SIDE_PX, colour

from grandrounds import formats, masking, seeds
from grandrounds.data.hrct_chest import chests
from grandrounds.image import Geometry, Image
from grandrounds.prepare import build_step
from grandrounds.prepare.lungs import lungs_of

PARTS = (0.25, 0.35, 0.45, 0.65)


def simulated(model: masking.Model) -> list[np.ndarray]:
    """Return the columns of the picture of simulated chests: the first section of the first four patients judged on."""
    spec = model.facts.spec
    shown = chests(spec.judged.replaced(seed=seeds.derive(spec.seed, "judge")))
    firsts = [one for k, one in enumerate(shown) if k % spec.judged.n_sections == 0][:4]
    columns = []
    for one in firsts:
        image = Image(one.hu[None], Geometry((one.pixel_mm,) * 2), unit="hu", modality="CT")
        columns.append(column(image.pixels[0], one.lungs, lungs_of(image), model.lungs(image)))
    return columns


def real(model: masking.Model, path: Path) -> list[np.ndarray]:
    """Return the columns of the picture of a real chest."""
    image = build_step({"step": "hounsfield"})(formats.read(path))
    by_threshold, by_unet = lungs_of(image), model.lungs(image)
    sections = [round(part * (len(by_unet) - 1)) for part in PARTS]
    return [column(image.pixels[0, k], None, by_threshold[k], by_unet[k]) for k in sections]


def column(hu: np.ndarray, truth: np.ndarray | None, *found: np.ndarray) -> np.ndarray:
    """Return one section above the masks that were found in it; the truth, where there is one, comes first."""
    grey = colour(((hu + 1000) / 1400).clip(0, 1))
    masks = [np.zeros(hu.shape, dtype=bool) if truth is None else truth, *found]
    return np.vstack([fitted(np.where(mask[..., None], 0.65 * grey + 0.35 * ORANGE, grey)) for mask in masks])


def fitted(picture: np.ndarray) -> np.ndarray:
    """Return the picture as wide as a tile, in proportion, in the middle of black."""
    height = round(SIDE_PX * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (SIDE_PX, height), interpolation=cv2.INTER_AREA)
    return small.round().astype(np.uint8)


def joined(columns: list[np.ndarray]) -> np.ndarray:
    """Return columns side by side, shorter ones filled with black."""
    height = max(len(one) for one in columns)
    return np.hstack([np.pad(one, [(0, height - len(one)), (0, 0), (0, 0)]) for one in columns])


if __name__ == "__main__":
    trained = masking.read(Path(sys.argv[1]))
    for name, columns in (("simulated", simulated(trained)), ("real", real(trained, Path(sys.argv[2])))):
        cv2.imwrite(str(OUT / f"lung_mask_unet_{name}.png"), joined(columns), [cv2.IMWRITE_PNG_COMPRESSION, 9])
