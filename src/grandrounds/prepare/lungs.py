"""A step that keeps the lungs of a chest CT, found by thresholds and shapes alone."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.body import largest
from grandrounds.prepare.needs import require_spacing
from grandrounds.prepare.space import window
from grandrounds.prepare.step import Step

_TISSUE_HU = -400  # lungs and air lie below, soft tissue above
_GAS_HU = -930  # in windpipe and bowel half of the pixels lie below, in lung hardly any but where it is destroyed
_GAS_MM2 = 2000.0  # largest section of windpipe or bowel gas
_LEAST = {2: 200.0, 3: 50_000.0}  # mm² or mm³ of a part that can be a lung
_LEAST_PART = 0.05  # of the largest part
_CLOSING_MM = 10.0  # vessels and nodules at the edge up to twice this wide belong to the lung
_Mask = NDArray[np.bool_]  # an image's space


class LungMask(Step):
    """The lungs stay, and everything else becomes air; for axial sections and volumes of the chest.

    Pixels darker than soft tissue inside the body are lung, but for windpipe and bowel gas; gaps at the edge, where
    vessels enter and nodules touch, are closed. Dense disease that reaches the chest wall over more than 2 cm is lost:
    look at some images. A section that meets no lung becomes air throughout, a volume without lungs is refused.

    Args:
        fill_hu: Value of what is no lung.
        crop: Whether to cut to the box about the lungs.
        margin_mm: Kept around that box, as far as the image goes.
    """

    step: Literal["lung_mask"] = "lung_mask"
    fill_hu: float = -1000.0
    crop: bool = False
    margin_mm: float = Field(default=5.0, ge=0)

    def __call__(self, image: Image) -> Image:
        """Return the lungs in the type that the image had."""
        return keep(image, lungs_of(image), self.fill_hu, self.margin_mm if self.crop else None, self.step)


def keep(image: Image, mask: _Mask, fill_hu: float, margin_mm: float | None, step: str) -> Image:
    """Return what a mask shows, the rest filled, in the type that the image had.

    Args:
        image: Planes or a volume.
        mask: In its space.
        fill_hu: Value of what is outside.
        margin_mm: Kept around the box about the mask, to which the image is cut; None where it is not cut.
        step: On whose behalf, for a refusal.

    Raises:
        BadData: The type of the pixels cannot hold the value, or a box needs a spacing that is unknown.
    """
    if image.pixels.dtype.kind in "iu" and not _holds(image.pixels.dtype, fill_hu):
        raise BadData(
            f"pixels of the type {image.pixels.dtype} cannot hold {fill_hu:g}",
            remedy=f'set fill_hu for the step "{step}" to what is outside, such as 0',
        )
    fill = np.asarray(fill_hu).astype(image.pixels.dtype)
    masked = dataclasses.replace(image, pixels=np.where(mask, image.pixels, fill))
    if margin_mm is None or not mask.any():
        return masked
    spacing_mm = require_spacing(image, step, "leave crop out")
    boxes = [
        (max(0, one.start - round(margin_mm / mm)), min(length, one.stop + round(margin_mm / mm)))
        for one, mm, length in zip(ndimage.find_objects(mask.astype(np.uint8))[0], spacing_mm, mask.shape, strict=True)
    ]
    return window(masked, [start for start, _ in boxes], [stop - start for start, stop in boxes], fill_hu)


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    limits = np.iinfo(dtype)
    return float(limits.min) <= value <= float(limits.max)


def lungs_of(image: Image) -> _Mask:
    """Return where the lungs are, in the image's space.

    Raises:
        BadData: The pixels are no Hounsfield units, the spacing is unknown, or a volume shows no lung.
    """
    if image.unit != "hu" or len(image.pixels) != 1:
        raise BadData(
            "the lungs are found by Hounsfield units, and nothing says that these pixels are",
            remedy='put the step "hounsfield" before "lung_mask" if they are, and "window" behind it',
        )
    spacing_mm = require_spacing(image, "lung_mask", "add the spacing to the files, or leave the step out")
    values_hu = image.pixels[0].astype(np.float32)
    planes = values_hu.reshape(-1, *values_hu.shape[-2:])  # (D, H, W)
    body = np.stack([ndimage.binary_fill_holes(largest(plane > _TISSUE_HU)) for plane in planes])  # (D, H, W)
    pixel_mm2 = float(np.prod(spacing_mm[-2:]))
    air = np.stack([_without_gas(plane, inside, pixel_mm2) for plane, inside in zip(planes, body, strict=True)])
    mask = _lungs(air.reshape(values_hu.shape), spacing_mm) & body.reshape(values_hu.shape)
    if mask.ndim == 3 and not mask.any():
        raise BadData(
            "no lung was found in this volume",
            remedy="check that it is a CT of the chest, or leave out the step 'lung_mask'",
        )
    return mask


def _without_gas(values_hu: NDArray[np.float32], inside: _Mask, pixel_mm2: float) -> _Mask:
    """Return the dark pixels inside the body in one plane (H, W), without windpipe and bowel gas."""
    dark = inside & (values_hu < _TISSUE_HU)
    parts, n_parts = ndimage.label(dark)
    sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)
    n_gas = np.bincount(parts.ravel(), weights=(values_hu < _GAS_HU).ravel(), minlength=n_parts + 1)
    is_gas = (n_gas > sizes / 2) & (sizes * pixel_mm2 < _GAS_MM2)
    kept: _Mask = dark & ~is_gas[parts]
    return kept


def _lungs(air: _Mask, spacing_mm: tuple[float, ...]) -> _Mask:
    """Return the parts that are large enough, each closed and without holes."""
    parts, n_parts = ndimage.label(air)
    sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)[1:] * np.prod(spacing_mm)
    least = max(_LEAST[air.ndim], _LEAST_PART * sizes.max(initial=0.0))
    lungs, boxes = np.zeros_like(air), ndimage.find_objects(parts)
    for number in np.flatnonzero(sizes >= least) + 1:
        # One by one, so that closing does not bridge the gap between two lungs.
        box = (*boxes[number - 1][:-2], slice(None), slice(None))  # closing needs room around the part
        part = parts[box] == number
        planes = [_closed(plane, spacing_mm[-2:]) for plane in part.reshape(-1, *air.shape[-2:])]
        lungs[box] |= np.stack(planes).reshape(part.shape)
    return lungs


def _closed(plane: _Mask, spacing_mm: tuple[float, ...]) -> _Mask:
    """Return a plane's mask (H, W) with gaps closed and holes filled."""
    row_px, column_px = (round(_CLOSING_MM / mm) for mm in spacing_mm)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * column_px + 1, 2 * row_px + 1))
    # Without a rim the image's edge would count as lung while the mask shrinks again.
    rim = np.pad(plane.astype(np.uint8), ((row_px, row_px), (column_px, column_px)))
    closed = cv2.morphologyEx(rim, cv2.MORPH_CLOSE, disc)[row_px : row_px + plane.shape[0], column_px:][
        :, : plane.shape[1]
    ]
    filled: _Mask = ndimage.binary_fill_holes(closed)
    return filled
