"""DICOM images through pydicom: Hounsfield units for CT, greater is brighter, an allow-list of the header.

Only the elements named in this file ever leave it.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from grandrounds.errors import BadData
from grandrounds.formats.budget import check_file, check_size
from grandrounds.formats.dicom_elements import (
    SIDES,
    frames_of,
    integer_of,
    items_of,
    numbers_of,
    syntax_of,
    text_of,
    years_of,
)
from grandrounds.formats.dicom_head import check_head
from grandrounds.formats.dicom_plain import OF_PIXELS, plain_header, plain_image, wanted_of
from grandrounds.formats.dicom_values import meaning, values
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
_TOLD = _HEADER | _MADE
_WANTED = wanted_of(
    (
        *(keyword for keywords in _TOLD.values() for keyword in keywords), "PatientAge", "Modality",
        "PixelSpacing", "ImagerPixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", *OF_PIXELS,
        "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept",
    )
)  # fmt: skip
# By (implicit, little endian), which pydicom finds out of files that do not tell.
_PLAIN = {
    (True, True): ImplicitVRLittleEndian, (False, True): ExplicitVRLittleEndian, (False, False): ExplicitVRBigEndian,
}  # fmt: skip
_LEAST_BYTES = 8  # of one frame: an item's tag and length, PS3.5 A.4
logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote the values of patients


def read(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the image of a DICOM file."""
    if member is not None:
        raise BadData(f"a DICOM file has no member {member!r}", where=path)
    check_file(path)
    with path.open("rb") as file:
        return decode(file, path, frame)


def n_slices(path: Path) -> int | None:
    """Return the number of frames, (0028,0008), of a file of several that may be as large as it says; else None."""
    n_bytes = check_file(path)
    with path.open("rb") as file:
        plain = plain_header(file, _WANTED)
        if plain is not None:
            dataset = plain.dataset
        else:
            check_head(file, path)
            dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
    n_frames = _check_claims(dataset, n_bytes, None, path)
    return n_frames if 1 < n_frames <= n_bytes // _LEAST_BYTES else None


def decode(file: BufferedReader | BytesIO, path: Path, frame: int | None) -> Image:
    """Return the image of an open DICOM file, (C, H, W), or (C, D, H, W) for all of several frames.

    CT is in Hounsfield units. Windows and VOI LUTs are for looking, and are not applied: see `dicom_display`.
    """
    plain = plain_image(file, _WANTED)
    dataset = _through_pydicom(file, path) if plain is None else plain[0]
    n_frames = _check_claims(dataset, file.seek(0, os.SEEK_END), frame, path)
    planes, order = _geometry(dataset, n_frames)
    stored = None if frame is None or n_frames == 1 else int(order[frame])  # frames count as they lie
    modality = text_of(dataset, "Modality") or None
    pixels, rescaled = values(dataset, stored, n_frames, path) if plain is None else meaning(plain[1], dataset)
    pixels = _channels_first(pixels, path, n_planes=n_frames if stored is None else 1)
    if stored is None and n_frames > 1:
        pixels, geometry = pixels[:, order], stacked([planes[at] for at in order])
    else:
        geometry = planes[stored or 0]
    return Image(pixels, geometry, "hu" if modality == "CT" and rescaled else "grey", modality, _header(dataset))


def _through_pydicom(file: BinaryIO, path: Path) -> Dataset:
    check_head(file, path)
    dataset = pydicom.dcmread(file, force=True)
    if not any(keyword in dataset for keyword in _PIXELS):
        raise BadData("this file holds no DICOM image", where=path, remedy="leave it out")
    if "TransferSyntaxUID" not in dataset.file_meta:  # without a meta group nothing is compressed
        is_implicit, is_little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = _PLAIN[bool(is_implicit), bool(is_little)]
    return dataset


def _check_claims(dataset: Dataset, n_bytes: int, frame: int | None, path: Path) -> int:
    """Return the number of frames after the sizes of (0028,0010), (0028,0011) and the like passed the budget."""
    n_frames = frames_of(dataset, n_bytes, path)
    if frame is not None and not 0 <= frame < n_frames:
        raise BadData(f"there is no frame {frame} in an image of {n_frames}", where=path)
    shape = (
        n_frames if frame is None else 1,
        integer_of(dataset, "Rows", 0),
        integer_of(dataset, "Columns", 0),
        integer_of(dataset, "SamplesPerPixel", 1),
    )
    bits = integer_of(dataset, "BitsAllocated", 16)
    check_size(shape, np.dtype(f"u{max(1, 2 ** math.ceil(math.log2(bits / 8)))}"), path)
    return n_frames


def _channels_first(array: NDArray[Any], path: Path, *, n_planes: int) -> Pixels:
    colour = array.ndim == 4 or (array.ndim == 3 and n_planes == 1)
    if array.dtype.kind not in "biuf" or array.ndim != 2 + (n_planes > 1) + colour:
        raise BadData("the pixels of this image have an unknown layout", where=path)
    array = np.moveaxis(array, -1, 0) if colour else array[None]  # (C, H, W) or (C, D, H, W)
    return np.require(array, dtype=array.dtype.newbyteorder("="), requirements=("C", "W"))


def _geometry(dataset: Dataset, n_frames: int) -> tuple[list[Geometry], NDArray[np.int64]]:
    """Return where each frame lies, and the frames in the order in which they lie, else as they are stored.

    Spacing is (0028,0030), else the detector's (0018,1164); position (0020,0032), direction (0020,0037). Enhanced
    images have them in functional groups, one set a frame (PS3.3 C.7.6.16.2).
    """
    own, shared = (items_of(dataset, f"{which}FunctionalGroupsSequence") for which in ("PerFrame", "Shared"))
    planes = [_plane(dataset, [one, *shared]) for one in own[:n_frames]]
    planes += [_plane(dataset, shared)] * (n_frames - len(planes))  # of frames that tell nothing of their own
    order = lying_order(planes) if n_frames > 1 else None
    return planes, np.arange(n_frames) if order is None else order


def _plane(dataset: Dataset, groups: Sequence[Dataset]) -> Geometry:
    spacing = _numbers(_told(dataset, groups, "PixelMeasuresSequence", "PixelSpacing", "ImagerPixelSpacing"), 2)
    if spacing is not None and min(spacing) <= 0:
        spacing = None
    origin = _numbers(_told(dataset, groups, "PlanePositionSequence", "ImagePositionPatient"), 3)
    position = None if origin is None else (origin[0], origin[1], origin[2])
    direction = _numbers(_told(dataset, groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    return Geometry(spacing, position, direction)


def _told(dataset: Dataset, groups: Sequence[Dataset], sequence: str, *words: str) -> Any:  # noqa: ANN401  (anything)
    """Return an element of the first functional group that has it, or of the file itself."""
    for group in groups:
        for item in group.get(sequence, ()):
            if item.get(words[0]) is not None:
                return item.get(words[0])
    return next((values for word in words if (values := numbers_of(dataset, word))), None)


def _numbers(value: Any, n_wanted: int) -> tuple[float, ...] | None:  # noqa: ANN401  (whatever the file holds)
    if value is None or isinstance(value, (bytes, str)):
        return None
    numbers = tuple(float(one) for one in value)
    return numbers if len(numbers) == n_wanted and all(math.isfinite(one) for one in numbers) else None


def _header(dataset: Dataset) -> dict[str, str]:
    found = {"format": "DICOM", "compression": str(syntax_of(dataset).name)}
    for column, keywords in _TOLD.items():
        value = next((text for keyword in keywords if (text := text_of(dataset, keyword))), "")
        if value := (SIDES.get(value, "") if column == "side" else value):
            found[column] = value
    age_years = years_of(text_of(dataset, "PatientAge"))
    if age_years is not None:
        found["age_years"] = f"{age_years:g}"
    return found
