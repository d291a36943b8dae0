"""DICOM images through pydicom: Hounsfield units for CT, greater is brighter, an allow-list of the header.

Only the elements named in this file ever leave it.
"""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from grandrounds.errors import BadData
from grandrounds.formats.budget import check_file, check_size
from grandrounds.formats.dicom_head import check_head
from grandrounds.formats.dicom_values import values
from grandrounds.formats.places import lying_order, stacked
from grandrounds.image import Geometry, Image
from grandrounds.shapes import Pixels

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Our column to DICOM keywords, the first one present counts (PS3.6, in order: (0010,0020), (0010,0040), (0008,1090),
# (0018,1210), (0018,0015), (0020,0062) or (0020,0060)).
_HEADER = {
    "patient": ("PatientID",),
    "sex": ("PatientSex",),
    "scanner": ("ManufacturerModelName",),
    "kernel": ("ConvolutionKernel",),
    "body_part": ("BodyPartExamined",),
    "side": ("ImageLaterality", "Laterality"),
}
# How the image was made and stored, by our names; no column of any table, only what shortcut probes ask about:
# (0008,0070), (0008,1010), (0018,5101), (0018,0060), (0018,0050), (0028,0004), (0028,0101), (0008,0064).
_MADE = {
    "manufacturer": ("Manufacturer",),
    "station": ("StationName",),
    "view": ("ViewPosition",),
    "kvp": ("KVP",),
    "thickness_mm": ("SliceThickness",),
    "photometric": ("PhotometricInterpretation",),
    "bits_stored": ("BitsStored",),
    "conversion": ("ConversionType",),
}
_TEXT = ("AS", "CS", "DS", "IS", "LO", "SH")  # kinds of values whose ASCII means itself, PS3.5 6.2
_SIDES = {"L": "left", "R": "right"}
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote the values of patients


def read(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the image of a DICOM file."""
    if member is not None:
        raise BadData(f"a DICOM file has no member {member!r}", where=path)
    check_file(path)
    with path.open("rb") as file:
        return decode(file, path, frame)


def decode(file: BinaryIO, path: Path, frame: int | None) -> Image:
    """Return the image of an open DICOM file, (C, H, W), or (C, D, H, W) for all of several frames.

    CT is in Hounsfield units. Windows and VOI LUTs are for looking, and are not applied: see `dicom_display`.
    """
    check_head(file, path)
    dataset = pydicom.dcmread(file, force=True)
    if not any(keyword in dataset for keyword in _PIXELS):
        raise BadData("this file holds no DICOM image", where=path, remedy="leave it out")
    n_frames = _check_claims(dataset, frame, path)
    planes, order = _geometry(dataset, n_frames)
    stored = None if frame is None or n_frames == 1 else int(order[frame])  # frames count as they lie
    modality = _text(dataset, "Modality") or None
    pixels, rescaled = values(dataset, stored, n_frames, path)
    pixels = _channels_first(pixels, path, n_planes=n_frames if stored is None else 1)
    if stored is None and n_frames > 1:
        pixels, geometry = pixels[:, order], stacked([planes[at] for at in order])
    else:
        geometry = planes[stored or 0]
    return Image(pixels, geometry, "hu" if modality == "CT" and rescaled else "grey", modality, _header(dataset))


def _check_claims(dataset: Dataset, frame: int | None, path: Path) -> int:
    """Return the number of frames after the sizes of (0028,0010), (0028,0011) and the like passed the budget."""
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    if frame is not None and not 0 <= frame < n_frames:
        raise BadData(f"there is no frame {frame} in an image of {n_frames}", where=path)
    shape = (
        n_frames if frame is None else 1,
        int(dataset.get("Rows") or 0),
        int(dataset.get("Columns") or 0),
        int(dataset.get("SamplesPerPixel") or 1),
    )
    bits = int(dataset.get("BitsAllocated") or 16)
    check_size(shape, np.dtype(f"u{max(1, 2 ** math.ceil(math.log2(bits / 8)))}"), path)
    return n_frames


def _channels_first(array: NDArray[Any], path: Path, *, n_planes: int) -> Pixels:
    colour = array.ndim == 4 or (array.ndim == 3 and n_planes == 1)
    if array.dtype.kind not in "biuf" or array.ndim != 2 + (n_planes > 1) + colour:
        raise BadData("the pixels of this image have an unknown layout", where=path)
    array = np.moveaxis(array, -1, 0) if colour else array[None]  # (C, H, W) or (C, D, H, W)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _geometry(dataset: Dataset, n_frames: int) -> tuple[list[Geometry], NDArray[np.int64]]:
    """Return where each frame lies, and the frames in the order in which they lie, else as they are stored.

    Spacing is (0028,0030), else the detector's (0018,1164); position (0020,0032), direction (0020,0037). Enhanced
    images have them in functional groups, one set a frame (PS3.3 C.7.6.16.2).
    """
    planes = [_plane(dataset, at) for at in range(n_frames)]
    order = lying_order(planes) if n_frames > 1 else None
    return planes, np.arange(n_frames) if order is None else order


def _plane(dataset: Dataset, frame: int) -> Geometry:
    spacing = _numbers(_told(dataset, frame, "PixelMeasuresSequence", "PixelSpacing", "ImagerPixelSpacing"), 2)
    if spacing is not None and min(spacing) <= 0:
        spacing = None
    origin = _numbers(_told(dataset, frame, "PlanePositionSequence", "ImagePositionPatient"), 3)
    position = None if origin is None else (origin[0], origin[1], origin[2])
    direction = _numbers(_told(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    return Geometry(spacing, position, direction)


def _told(dataset: Dataset, frame: int, sequence: str, *words: str) -> Any:  # noqa: ANN401  (whatever the file holds)
    """Return an element of a frame's own functional group, of the shared one, or of the file itself."""
    own = [*dataset.get("PerFrameFunctionalGroupsSequence", ())]
    for group in (*own[frame : frame + 1], *dataset.get("SharedFunctionalGroupsSequence", ())):
        for item in group.get(sequence, ()):
            if item.get(words[0]) is not None:
                return item.get(words[0])
    plain = next((text for word in words if (text := _plainly(dataset, word))), None)
    return plain.split("\\") if plain else next((value for word in words if (value := dataset.get(word))), None)


def _numbers(value: Any, n_wanted: int) -> tuple[float, ...] | None:  # noqa: ANN401  (whatever the file holds)
    if value is None or isinstance(value, (bytes, str)):
        return None
    numbers = tuple(float(one) for one in value)
    return numbers if len(numbers) == n_wanted and all(math.isfinite(one) for one in numbers) else None


def _header(dataset: Dataset) -> dict[str, str]:
    syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID")
    found = {"format": "DICOM", "compression": "none told" if syntax is None else str(syntax.name)}
    for column, keywords in (_HEADER | _MADE).items():
        value = next((text for keyword in keywords if (text := _text(dataset, keyword))), "")
        if value := (_SIDES.get(value, "") if column == "side" else value):
            found[column] = value
    # (0010,1010) is three digits and a unit, PS3.5 6.2 AS.
    if age := re.fullmatch(r"(\d{3})([DWMY])", _text(dataset, "PatientAge")):
        found["age_years"] = f"{float(age[1]) * _DAYS[age[2]] / _DAYS['Y']:.4g}"
    return found


def _plainly(dataset: Dataset, keyword: str) -> str | None:
    """Return an element of plain ASCII text as it stands in the file; None where pydicom has to be asked what it means.

    A tenth of the time: what pydicom makes of each value is rarely wanted here.
    """
    element: Any = dataset.get_item(keyword) if keyword in dataset else None
    if not isinstance(element, RawDataElement) or element.VR not in _TEXT or not element.value:
        return None
    content: bytes = element.value
    return content.decode("ascii").strip(" \x00") if content.isascii() else None


def _text(dataset: Dataset, keyword: str) -> str:
    plain = _plainly(dataset, keyword)
    if plain is not None and "\\" not in plain:
        return plain
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return ""  # a value that cannot be decoded is as good as none
    return "" if value is None else str(value).replace("\x00", "").strip()
