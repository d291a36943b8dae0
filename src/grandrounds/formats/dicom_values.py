"""From stored DICOM values to values with a meaning: Hounsfield units for CT, greater is brighter, padding is dark."""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK's functions carry no types; what comes out of them here is annotated.
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.tag import BaseTag
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from grandrounds.errors import BadData
from grandrounds.formats.dicom_elements import integer_of, items_of, number_of, syntax_of, tells, text_of
from grandrounds.formats.isolated import decoded

_BYTE_BITS = 8
_LEAST, _GREATEST = -(2**15), 2**15 - 1
_THROUGH_GDCM = (JPEGLossless, JPEGLosslessSV1)
# For each way to compress the decoder that survives damaged streams; others may be installed, and are not asked.
_PLUGINS = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    RLELossless: "pydicom",
}
_JPEG_SIZES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)  # SOF; SOF55: LS


def values(dataset: Dataset, frame: int | None, n_frames: int, path: Path) -> tuple[NDArray[Any], bool]:
    """Return the values of an image or of one stored frame, and whether a rescale gave them a unit.

    Stored values go through the modality LUT or the rescale (PS3.3 C.11.1); MONOCHROME1 (C.7.6.3.1.2) is inverted
    except in CT, whose values have a meaning of their own. Padding (C.7.5.1.1.2) becomes the least value of the rest,
    so that it is neither a false black nor a false white.

    Raises:
        BadData: The compressed image is larger than the header says or cut off, or no decoder is there.
    """
    _check_codestream(dataset, n_frames, path)
    _check_ends(dataset, frame, n_frames, path)
    if _is_deep_jpeg(dataset):
        if path.suffix.lower() == ".zip":
            raise BadData("a 12-bit JPEG cannot be read inside a ZIP", where=path, remedy="unpack the ZIP first")
        return decoded(through_itk, path, frame, path=path), True
    stored = _stored(dataset, frame, path)
    if text_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        return apply_color_lut(stored, dataset), False
    return meaning(stored, dataset, frame, n_frames)


def meaning(
    stored: NDArray[Any], dataset: Dataset, frame: int | None = None, n_frames: int = 1
) -> tuple[NDArray[Any], bool]:
    """Return the values that stored ones of a grey or colour image stand for, and whether they have a unit."""
    padding = _padding(stored, dataset)
    is_inverse = text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1" and text_of(dataset, "Modality") != "CT"
    if tells(dataset, "ModalityLUTSequence"):
        found = apply_modality_lut(stored, dataset)
        bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        found, has_unit = (2**bits - 1 - found if is_inverse else found), False
    else:
        upright = _inverted(stored, dataset) if is_inverse else stored
        found, has_unit = _rescaled(upright, _rescales(dataset, n_frames), frame)
    if padding is not None and padding.any() and not padding.all():
        found = np.where(padding, found[~padding].min(), found)
    return found, has_unit


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_] | None:
    """Return where stored values are padding, from (0028,0120) to (0028,0121); None where nothing is said of it."""
    ends = [number_of(dataset, word) for word in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None or stored.dtype.kind not in "iu" or integer_of(dataset, "SamplesPerPixel", 1) > 1:
        return None
    first = int(ends[0])
    last = first if ends[1] is None else int(ends[1])
    return (stored >= min(first, last)) & (stored <= max(first, last))


def _inverted(array: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    if array.dtype.kind == "f":
        inverted: NDArray[Any] = array.max() + array.min() - array
        return inverted
    bits = int(dataset.BitsStored)
    both_ends = -1 if dataset.PixelRepresentation else 2**bits - 1  # least plus greatest value that may be stored
    return (both_ends - array.astype(np.int64)).astype(array.dtype)


def _rescales(dataset: Dataset, n_frames: int) -> list[tuple[float, float]]:
    """Return (slope, intercept) once, or once per frame; empty where the file gives none."""
    groups, shared = (items_of(dataset, f"{which}FunctionalGroupsSequence") for which in ("PerFrame", "Shared"))
    for sequence, n_wanted in ((groups, n_frames), (shared, 1)):  # enhanced images, PS3.3 C.7.6.16.2.9
        nested = [
            item.PixelValueTransformationSequence[0] for item in sequence if "PixelValueTransformationSequence" in item
        ]
        if len(nested) == n_wanted:
            return [(float(one.RescaleSlope), float(one.RescaleIntercept)) for one in nested]
    slope, intercept = number_of(dataset, "RescaleSlope"), number_of(dataset, "RescaleIntercept")
    return [] if slope is None or intercept is None else [(slope, intercept)]


def _rescaled(
    array: NDArray[Any], rescales: Sequence[tuple[float, float]], frame: int | None
) -> tuple[NDArray[Any], bool]:
    if not rescales:
        return array, False
    if frame is not None and len(rescales) > 1:
        rescales = [rescales[frame]]
    if all(one == (1.0, 0.0) for one in rescales):
        return array, True
    if array.ndim == 2 and (whole := _whole(array, *rescales[0])) is not None:
        return whole, True
    # In single precision from the start: several times as fast, and whole numbers of up to 24 bits come out the same.
    found = array.astype(np.float32)
    for at, (slope, intercept) in enumerate(rescales):
        own = found[at] if len(rescales) > 1 else found  # of a frame, or of all
        own *= np.float32(slope)
        own += np.float32(intercept)
    return found, True


def _whole(array: NDArray[Any], slope: float, intercept: float) -> NDArray[np.int16] | None:
    """Return rescaled values as the 16 bits in which volumes of CT are kept elsewhere; None where they do not fit."""
    if array.dtype.kind not in "iu" or not (slope.is_integer() and intercept.is_integer()):
        return None
    ends = [int(end) * int(slope) + int(intercept) for end in (array.min(), array.max())]
    if not all(_LEAST <= end <= _GREATEST for end in (*ends, int(slope), int(intercept))):
        return None
    # May wrap around on the way, and then does so back: the ends fit.
    found = array.view(np.int16) if array.dtype.itemsize == 2 and array.dtype.isnative else array.astype(np.int16)
    scaled: NDArray[np.int16] = found if slope == 1 else found * np.int16(slope)
    return scaled + np.int16(intercept)


def _is_deep_jpeg(dataset: Dataset) -> bool:
    syntax = syntax_of(dataset)
    return syntax == JPEGExtended12Bit and int(dataset.get("BitsStored") or 0) > _BYTE_BITS


def through_itk(path: Path, frame: int | None) -> NDArray[Any]:
    """Return a lossy JPEG of 12 bits, which of the decoders that we may use only ITK's reads; already rescaled."""
    import SimpleITK as sitk  # noqa: N813, PLC0415  (takes a while, and few files want it)

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    volume: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())  # (D, H, W)
    one = frame if frame is not None else 0 if len(volume) == 1 else None
    return volume if one is None else np.asarray(volume[one])


def through_gdcm(group: bytes, meta: bytes, frame: int | None) -> NDArray[Any]:
    """Return a lossless JPEG; the two groups are those of the file, as DICOM JSON."""
    dataset = Dataset.from_json(group.decode())
    dataset.file_meta = FileMetaDataset(Dataset.from_json(meta.decode()))
    array: NDArray[Any] = pixel_array(dataset, index=frame, decoding_plugin="gdcm")
    return array


def _stored(dataset: Dataset, frame: int | None, path: Path) -> NDArray[Any]:
    """Return the stored values through the decoder that is safest for the way in which they are compressed."""
    syntax = syntax_of(dataset)
    if syntax in _THROUGH_GDCM:
        needed = [element.tag for element in dataset.group_dataset(0x0028)] + [0x7FE00010, 0x00080016, 0x00080018]
        image = Dataset({BaseTag(tag): dataset[tag] for tag in needed if tag in dataset})
        said = image.to_json().encode(), dataset.file_meta.to_json().encode()
        return decoded(through_gdcm, *said, frame, path=path)
    array: NDArray[Any] = pixel_array(dataset, index=frame, decoding_plugin=_PLUGINS.get(syntax, ""))
    return array


def _check_codestream(dataset: Dataset, n_frames: int, path: Path) -> None:
    """Refuse a compressed image that claims more rows or columns than the header: a decoder would allocate them."""
    syntax = syntax_of(dataset)
    if syntax is None or not syntax.is_compressed or not syntax.is_encapsulated or "PixelData" not in dataset:
        return
    size = _claimed(get_frame(dataset.PixelData, 0, number_of_frames=n_frames))
    if size is None:
        return
    wanted = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if size[0] > wanted[0] or size[1] > wanted[1]:
        raise BadData(
            f"the compressed image claims {size[0]:,} x {size[1]:,} pixels, its header {wanted[0]:,} x {wanted[1]:,}",
            where=path,
            remedy="fetch the file again, or leave it out",
        )


def _check_ends(dataset: Dataset, frame: int | None, n_frames: int, path: Path) -> None:
    """Refuse JPEG-LS without an end (T.87 C.1.1.2), for which CharLS would go on looking for seconds."""
    if syntax_of(dataset) not in (JPEGLSLossless, JPEGLSNearLossless):
        return
    streams = (
        generate_frames(dataset.PixelData, number_of_frames=n_frames)
        if frame is None
        else [get_frame(dataset.PixelData, frame, number_of_frames=n_frames)]
    )
    if not all(stream.rstrip(b"\0").endswith(b"\xff\xd9") for stream in streams):
        raise BadData("the compressed image is cut off", where=path, remedy="fetch the file again")


def _claimed(stream: bytes) -> tuple[int, int] | None:
    """Return rows and columns by the stream's own head: JPEG (T.81 B.2), JPEG-LS (T.87 C.2), JPEG 2000 (T.800 A.5)."""
    if (at := stream.find(b"\xff\x4f\xff\x51")) >= 0:
        whole = [int.from_bytes(stream[at + start : at + start + 4], "big") for start in (8, 12, 16, 20)]
        return whole[1] - whole[3], whole[0] - whole[2]  # Xsiz, Ysiz less the offsets of the image
    at = 2
    while stream[:2] == b"\xff\xd8" and at + 9 < len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in _JPEG_SIZES:
            return int.from_bytes(stream[at + 5 : at + 7], "big"), int.from_bytes(stream[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
