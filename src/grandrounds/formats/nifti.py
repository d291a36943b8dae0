"""What ITK does not say of a NIfTI file, or says on the terminal: seen in the bytes before ITK is asked."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds.errors import BadData
from grandrounds.formats.budget import MAX_BYTES, check_size

_GZIP = b"\x1f\x8b"
_FIRST, _SECOND = 348, 540  # bytes of a header of NIfTI-1 and NIfTI-2
_CHUNK = 2**20
_MOST_AXES = 7
_FLOATS = {16: "f4", 64: "f8"}  # by the header's number for a type
# Where a header has dim[0], datatype, bitpix and vox_offset.
_PLACES_FIRST = (("h", 40), ("h", 70), ("h", 72), ("f", 108))
_PLACES_SECOND = (("q", 16), ("h", 12), ("h", 14), ("q", 168))


class NoNumbers(NamedTuple):
    """The pixels that are no finite numbers: their places in the order of the file, and what they are."""

    places: NDArray[np.int64]
    values: NDArray[np.floating]


class _Head(NamedTuple):
    n_axes: int
    type: int
    bits: int
    start: int
    order: str


def check_head(path: Path) -> None:
    """Refuse what ITK would complain of on the terminal, beside raising an error.

    Raises:
        BadData: Its header is none of NIfTI's, or it is packed under a name that does not say so.
    """
    with _opened(path) as file:
        content = _header(file)
    if content[344:348] != b"n+1\0" and content[4:8] != b"n+2\0":
        raise BadData("this is not a NIfTI file", where=path, remedy="give it the ending that fits, or leave it out")
    if _is_packed(path) and path.suffix.lower() != ".gz":
        raise BadData(
            "this file is packed with gzip, which its name does not say", where=path, remedy="let it end in .nii.gz"
        )
    n_axes = _head(content).n_axes
    if not 1 <= n_axes <= _MOST_AXES:
        raise BadData(f"the header is damaged: it claims {n_axes} axes", where=path, remedy="fetch the file again")


def end_of_pixels(content: bytes, n_values: int) -> int:
    """Return where the pixels of a file that begins like this end, once it is unpacked."""
    head = _head(content)
    return head.start + n_values * head.bits // 8


def check_pixels(path: Path, n_values: int) -> NoNumbers:
    """Refuse a file that ends before its pixels do, and return which pixels are no finite numbers.

    ITK makes zeros of both and says nothing.

    Raises:
        BadData: It is cut off.
    """
    with _opened(path) as file:
        content = _header(file)
        head, n_there = _head(content), len(content)
        n_wanted = end_of_pixels(content, n_values)
        found = [_none_of(head)]
        while n_there < n_wanted + _CHUNK:  # to the end, where gzip's checksum is
            n_next = min(head.start - n_there, _CHUNK) if n_there < head.start else _CHUNK
            chunk = file.read(n_next)
            if not chunk:
                break
            if n_there >= head.start:
                found.append(_no_numbers(chunk[: max(n_wanted - n_there, 0)], n_there - head.start, head))
            n_there += len(chunk)
    check_size((n_wanted,), np.uint8, path, stored_bytes=n_there, limit_bytes=2 * MAX_BYTES)
    places, values = zip(*found, strict=True)
    return NoNumbers(np.concatenate(places), np.concatenate(values))


def _no_numbers(chunk: bytes, at: int, head: _Head) -> NoNumbers:
    """Return which of the whole values in a chunk are no finite numbers; `at` is where it starts among the pixels."""
    if head.type not in _FLOATS:
        return _none_of(head)
    dtype = np.dtype(f"{head.order}{_FLOATS[head.type]}")
    values = np.frombuffer(chunk, dtype, len(chunk) // dtype.itemsize)
    places = np.flatnonzero(~np.isfinite(values))
    return NoNumbers(places + at // dtype.itemsize, values[places])


def _none_of(head: _Head) -> NoNumbers:
    return NoNumbers(np.empty(0, np.int64), np.empty(0, _FLOATS.get(head.type, "f4")))


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _opened(path: Path) -> gzip.GzipFile | BinaryIO:
    return gzip.open(path) if _is_packed(path) else path.open("rb")


def _header(file: gzip.GzipFile | BinaryIO) -> bytes:
    """Return the header and nothing behind it, so that what is read next is whole values from where pixels start."""
    content = file.read(_FIRST)
    return content + file.read(_SECOND - _FIRST) if content[4:8] == b"n+2\0" else content


def _head(content: bytes) -> _Head:
    """Return what a header says; its first number, which is its length, tells the order of bytes."""
    order = "<" if struct.unpack_from("<i", content)[0] in (_FIRST, _SECOND) else ">"
    is_first = struct.unpack_from(f"{order}i", content)[0] == _FIRST
    places = _PLACES_FIRST if is_first else _PLACES_SECOND
    n_axes, kind, bits, start = (struct.unpack_from(f"{order}{code}", content, at)[0] for code, at in places)
    # A file that says less means the end of its header, as the library behind ITK takes it.
    return _Head(n_axes, kind, bits, max(int(start), _FIRST if is_first else _SECOND), order)
