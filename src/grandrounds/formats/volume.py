"""NRRD, MetaImage and NIfTI volumes through SimpleITK, one file each; a header never leads to another file."""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK's functions carry no types; what comes out of them here is annotated.
from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name that everybody knows it by)

from grandrounds.errors import BadData
from grandrounds.formats import nifti
from grandrounds.formats.budget import MAX_DEFLATE, check_file, check_size
from grandrounds.formats.stack import slice_of
from grandrounds.image import Geometry, Image

_HEADER_BYTES = 2**16
_GZIP = b"\x1f\x8b"
_META = (b"ObjectType", b"NDims", b"Comment")  # how a MetaImage begins
_MANY = 1 << 14  # slices; a header that claims more is not believed
_DTYPES: dict[int, type[np.generic]] = {
    sitk.sitkUInt8: np.uint8,
    sitk.sitkInt8: np.int8,
    sitk.sitkUInt16: np.uint16,
    sitk.sitkInt16: np.int16,
    sitk.sitkUInt32: np.uint32,
    sitk.sitkInt32: np.int32,
    sitk.sitkUInt64: np.uint64,
    sitk.sitkInt64: np.int64,
    sitk.sitkFloat32: np.float32,
    sitk.sitkFloat64: np.float64,
}
sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003  (ITK prints header values)


def read(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the volume (1, D, H, W) in a file, one slice (1, H, W) of it, or a flat image.

    Axes are (slice, row, column) in the order of the file; positions are the patient's as in DICOM (left, posterior,
    superior), to which ITK converts NIfTI's.
    """
    if member is not None:
        raise BadData(f"a volume has no member {member!r}", where=path)
    stat = path.stat()
    volume = _volume(path, stat.st_mtime_ns, stat.st_size)
    if frame is None:
        return volume
    if volume.pixels.ndim != 4 or not 0 <= frame < volume.space[0]:
        raise BadData(f"there is no slice {frame} in a volume of {volume.space[0]}", where=path)
    return slice_of(volume, frame)


def n_slices(path: Path) -> int | None:
    """Return how many slices the volume in a file has; None where reading it will find it flat or bad.

    The header's word is taken where the file is as long as the header says; otherwise the volume is read.
    """
    try:
        reader = sitk.ImageFileReader()
        reader.SetImageIO(_single_file(path))
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size, dtype = reader.GetSize(), _DTYPES[reader.GetPixelID()]
        itemsize = np.dtype(dtype).itemsize
        if len(size) == 3 and size[2] <= _MANY and _is_whole(path, math.prod(size), itemsize):
            return int(size[2])
        space = read(path, None, None).space
    except Exception:  # noqa: BLE001  (whatever is wrong with it is said by whoever reads it)
        return None
    return space[0] if len(space) == 3 else None


def _is_whole(path: Path, n_values: int, itemsize: int) -> bool:
    """Whether a file reaches as far as its header says; a packed one is not unpacked for that.

    The last word of GZIP is the length of what it holds (RFC 1952, 2.3.1). Where a file was cut off it is any number,
    so it has to be the right one to the byte.
    """
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
        file.seek(-4, 2)
        (last,) = struct.unpack("<I", file.read(4))
    with gzip.open(path) if is_packed else path.open("rb") as file:
        n_wanted = _wanted_bytes(file.read(_HEADER_BYTES), n_values, itemsize)
    return bool(last == n_wanted) if is_packed else n_wanted <= path.stat().st_size


def _wanted_bytes(head: bytes, n_values: int, itemsize: int) -> int:
    """Return how long an unpacked file that begins like this has to be."""
    if head.startswith(b"NRRD"):
        blank = re.search(rb"\n\r?\n", head)
        return (blank.end() if blank else 0) + n_values * itemsize
    if head.startswith(_META):
        return _meta_pixels(head) + n_values * itemsize
    return nifti.end_of_pixels(head, n_values)


@lru_cache(maxsize=1)
def _volume(path: Path, _changed: int, _n_bytes: int) -> Image:
    # The latest volume stays: slices are read one by one.
    n_bytes = check_file(path)
    kind = _single_file(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(kind)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    dtype = _DTYPES.get(reader.GetPixelID())
    if dtype is None or reader.GetNumberOfComponents() != 1 or len(size) not in (2, 3):
        raise BadData(
            f"this file holds {len(size)} axes with {reader.GetNumberOfComponents()} values each, not one grey image",
            where=path,
            remedy="give one volume per file",
        )
    check_size(size[::-1], dtype, path)
    odd: nifti.NoNumbers | None = None
    if kind == "NiftiImageIO":
        odd = nifti.check_pixels(path, math.prod(size))
    elif kind == "MetaImageIO":
        _check_meta(path, math.prod(size) * np.dtype(dtype).itemsize)
    else:
        check_size(size[::-1], dtype, path, stored_bytes=n_bytes * MAX_DEFLATE)  # ITK notices a short NRRD itself
    image = reader.Execute()
    pixels = sitk.GetArrayFromImage(image)[None]  # (1, D, H, W) or (1, H, W)
    if odd is not None and len(odd.places):
        np.put(pixels, odd.places, odd.values)
    pixels.flags.writeable = False
    return Image(pixels, _geometry(image))


def _single_file(path: Path) -> str:
    """Return ITK's reader for the file; refuse a header whose pixels lie in another file."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if head.startswith(b"NRRD"):
        fields = [line.partition(b":")[0].strip().lower() for line in head.split(b"\n\n")[0].splitlines()]
        detached, reader = b"data file" in fields or b"datafile" in fields, "NrrdImageIO"
    elif head.startswith(_META):
        places = [line.partition(b"=")[2].strip() for line in head.split(b"\n") if line.startswith(b"ElementDataFile")]
        detached, reader = places[:1] != [b"LOCAL"], "MetaImageIO"
    else:
        nifti.check_head(path)
        detached, reader = False, "NiftiImageIO"
    if detached:
        raise BadData("the pixels lie in another file", where=path, remedy="save header and pixels in one file")
    return reader


def _check_meta(path: Path, n_wanted: int) -> None:
    """Refuse a MetaImage whose pixels are short or packed wrongly: ITK would wait for the rest for ever."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        start = _meta_pixels(head)
        file.seek(start)
        fields = dict(line.split(b"=", 1) for line in head[:start].replace(b" ", b"").splitlines())
        n_there = path.stat().st_size - start
        is_packed = fields.get(b"CompressedData", b"F")[:1] in (b"T", b"t", b"1")
        is_whole = n_there >= n_wanted
        if is_packed:
            n_packed = int(fields.get(b"CompressedDataSize", n_there))
            is_whole = n_packed == n_there and _unpacks_to(file, n_wanted)
    if not is_whole:
        raise BadData("the pixels are truncated or damaged", where=path, remedy="fetch the file again")


def _meta_pixels(head: bytes) -> int:
    """Return where the pixels of a MetaImage begin."""
    return head.index(b"\n", head.index(b"\nElementDataFile") + 1) + 1


def _unpacks_to(file: BinaryIO, n_wanted: int) -> bool:
    """Whether the rest of the file is one zlib stream of exactly so many bytes; nothing of it is kept."""
    inflater, n_bytes = zlib.decompressobj(), 0
    while n_bytes <= n_wanted and (chunk := file.read(2**16)):
        n_bytes += len(inflater.decompress(chunk))
    return inflater.eof and not inflater.unused_data and n_bytes == n_wanted


def _geometry(image: sitk.Image) -> Geometry:
    if image.GetDimension() == 2:
        return Geometry(tuple(image.GetSpacing()[::-1]))
    cosines = image.GetDirection()  # 3 x 3 by rows; its columns are the axes column, row, slice
    x, y, z = image.GetOrigin()
    return Geometry(tuple(image.GetSpacing()[::-1]), (x, y, z), (*cosines[0::3], *cosines[1::3], *cosines[2::3]))
