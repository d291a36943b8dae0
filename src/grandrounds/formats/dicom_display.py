"""A DICOM image as its file wants it shown: through the window or the VOI LUT, from 0 (black) to 1 (white).

For eyes only. Windows are chosen by whoever looked at the image, image by image, so values that went through one can no
longer be compared; models get the values of `formats.read`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from grandrounds.errors import BadData
from grandrounds.formats.reading import read
from grandrounds.shapes import Pixels


def display(path: Path) -> Pixels | None:
    """Return a grey image as its file wants it shown, (1, H, W) float32 from 0 to 1; None where it does not say.

    The first window or VOI LUT counts (PS3.3 C.11.2). Images in colour and files of several frames have none here.

    Raises:
        BadData: As `read`; or the window or table is broken.
    """
    image = read(path)  # checks sizes and refuses what is hostile before anything else is done
    with warnings.catch_warnings(action="ignore"):
        dataset = pydicom.dcmread(path, force=True)
        if len(image.pixels) > 1 or int(dataset.get("NumberOfFrames") or 1) > 1:
            return None
        if not any(word in dataset for word in ("WindowCenter", "VOILUTSequence")):
            return None
        try:
            values = apply_modality_lut(pixel_array(dataset), dataset)
            shown = apply_voi_lut(values, dataset).astype(np.float64)
            low, high = _range(dataset, shown)
        except Exception:  # noqa: BLE001  (pydicom raises whatever a broken table makes it trip over)
            raise BadData("the window or table to show this image with is broken", where=path) from None
    shown = ((shown - low) / ((high - low) or 1.0)).clip(0, 1)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    return shown.astype(np.float32)[None]  # (1, H, W)


def _range(dataset: pydicom.Dataset, shown: NDArray[np.float64]) -> tuple[float, float]:
    """Return what is black and what is white after the window or the LUT."""
    if "VOILUTSequence" in dataset:
        return 0.0, float(2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if "ModalityLUTSequence" in dataset:
        return float(shown.min()), float(shown.max())
    return ends[0] * slope + intercept, ends[1] * slope + intercept
