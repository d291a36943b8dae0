"""The regions of the Geneva ILD database: contours in text files, or codes in masks.

A text file is made of `key: value` lines. What a reader stumbles over: a contour inherits the last label and section
above it; points are millimetres; sections are counted from 1; localisations have several words. A mask holds a code for
each tissue and 0 where there is none; its header may have the rescale of the CT file that it was made from, which does
not apply to codes. A picture of it that was compressed with loss has other codes along every border.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from grandrounds import formats
from grandrounds.errors import BadData

_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)  # whatever the header says
# Words of the ROI files to the five classes of Li et al. 2014; other tissues are left out.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "healthy": "normal",
        "emphysema": "emphysema",
        "ground_glass": "ground_glass",
        "fibrosis": "fibrosis",
        "micronodules": "micronodules",
    }
)
_FINEST = 4  # contours are rasterised from sixteenths of a pixel


@dataclass(frozen=True, slots=True)
class Roi:
    """One contour: its label, the section that it lies in (1 is the first), and its points x, y in pixels, (n, 2)."""

    label: str
    number: int
    points: NDArray[np.float64]


def tissue(word: str) -> str | None:
    """Return the class that a word of the database means, however it is spelt; None for other tissues.

    >>> tissue("Ground glass"), tissue("healthy"), tissue("cysts")
    ('ground_glass', 'normal', None)
    """
    return CLASSES.get(re.sub(r"[\s_-]+", "_", word.strip().casefold()))


def parse(text: str, *, where: object = None) -> list[Roi]:
    """Return the contours of a ROI file, in its order.

    Raises:
        BadData: A line cannot be understood, the spacing is missing, or a contour has no label or section.
    """
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip())
    spacing: dict[str, float] = {}
    label, number, rois = None, None, []
    for n, line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        try:
            if key.lower() in ("spacingx", "spacingy"):
                spacing[key[-1].lower()] = float(value)
            elif key == "label":
                label = value
            elif key == "slice_number":
                number = int(value)
            elif key == "nb_points_on_contour":
                points = [next(lines)[1].split() for _ in range(int(value))]
                per_pixel = np.array([spacing["x"], spacing["y"]])
                if label is None or number is None:
                    raise BadData("a contour has no label or no section above it", where=f"{where}, line {n}")
                rois.append(Roi(label, number, np.array(points, float).reshape(-1, 2) / per_pixel))
        except (ValueError, KeyError, StopIteration, RuntimeError):
            raise BadData("a line of the ROI file cannot be understood", where=f"{where}, line {n}") from None
    return rois


def rasterise(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a contour, its line included, (H, W); what lies outside the image is cut off."""
    canvas = np.zeros(shape, np.uint8)
    if len(points):
        cv2.fillPoly(canvas, [np.round(points * 2**_FINEST).astype(np.int32)], 1, cv2.LINE_8, _FINEST)
    return canvas.astype(bool)


def regions(codes: NDArray[np.generic]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return class and mask (H, W) of each connected region of a mask; codes 1 to 5 are the classes in their order."""
    found = []
    for code, name in enumerate(CLASSES.values(), start=1):
        n, parts = cv2.connectedComponents((codes == code).astype(np.uint8))
        found += [(name, parts == part) for part in range(1, n)]
    return found


def read_mask(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    """Return the codes of a mask as they are stored, (H, W).

    Raises:
        BadData: It cannot be read, has another size than its section, or was compressed with loss.
    """
    pixels = formats.read(path).pixels
    if pixels.shape != (1, *shape):
        raise BadData("the mask has another size than its section", where=path)
    # (0028,1052) and (0028,1053): what reading did to the stored values is undone
    tags = ["RescaleIntercept", "RescaleSlope", "LossyImageCompression"]
    ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    if ds.file_meta.get("TransferSyntaxUID") in _LOSSY or ds.get("LossyImageCompression") == "01":  # (0028,2110)
        raise BadData("the mask was compressed with loss, which makes other codes of it", where=path)
    intercept, slope = float(ds.get("RescaleIntercept") or 0), float(ds.get("RescaleSlope") or 1)
    codes: NDArray[np.generic] = np.round((pixels[0] - intercept) / slope)
    return codes
