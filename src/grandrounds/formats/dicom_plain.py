"""The plain kind of DICOM file, which most scanners write, walked through without pydicom: a tenth of the time.

Only files without anything out of the ordinary are walked through here: little endian, not compressed, tags in order,
lengths that fit, no functional groups, nothing behind the pixels. For all others there is no answer, and pydicom reads
them. What comes out is a pydicom data set with raw elements, so that everything else is the same for both; tests ask
both of every file, whole and damaged, and compare.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable, Mapping
from io import BufferedReader, BytesIO
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from grandrounds.formats.budget import MAX_BYTES
from grandrounds.formats.dicom_elements import integer_of, number_of, tag_of, tells, text_of

Wanted = Mapping[int, tuple[BaseTag, str]]  # tags, and the kind of their values where the file does not tell it

_TAG_KIND_LENGTH, _LONG_LENGTH = struct.Struct("<HH2sH").unpack_from, struct.Struct("<I").unpack_from
_TAG_LENGTH = struct.Struct("<HHI").unpack_from
_FIRST = 132  # bytes before the first element, PS3.10 7.1
_HEAD_BYTES = (2**14, 2**20)  # read at first, and where the pixels do not start within that
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # PS3.5 7.1.2
_LONG = frozenset(b"OB OD OF OL OV OW SV UC UN UR UT UV".split())
_IN_WORDS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_UNKNOWN_LENGTH = 0xFFFFFFFF
_META, _SYNTAX, _PIXELS, _PADDING = 0x0002, 0x00020010, 0x7FE00010, 0xFFFCFFFC
_ITEM, _ITEM_ENDS, _SEQUENCE_ENDS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 8
# Functional groups, LUTs, palettes, and pixels of other kinds: what they mean for an image is pydicom's to say.
_BEYOND = frozenset(
    (0x00283000, 0x00281101, 0x00281102, 0x00281103, 0x52009229, 0x52009230, 0x7FE00001, 0x7FE00008, 0x7FE00009)
)


# How a file begins whose elements tell their kind, PS3.10 7.1.
_BEFORE = bytes(128) + b"DICM" + struct.pack("<HH2sH", _META, 0x10, b"UI", 20) + ExplicitVRLittleEndian.encode() + b"\0"
# What of a header `plain_image` goes by.
OF_PIXELS = (
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation",
)  # fmt: skip


def _meta_of(syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    return meta


_METAS = {syntax: _meta_of(syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)}


class Plain(NamedTuple):
    """A header as far as it was asked for, and where its pixels start and how many bytes they are."""

    dataset: Dataset
    start: int
    n_bytes: int


class _Extraordinary(Exception):  # noqa: N818  (no error: pydicom is asked instead)
    """Something that is not plain."""


def wanted_of(keywords: Iterable[str]) -> Wanted:
    """Return the tags of keywords with the kind of their values."""
    return {int(tag): (tag, dictionary_VR(tag)) for tag in map(tag_of, keywords)}


def plain_header(file: BinaryIO, wanted: Wanted) -> Plain | None:
    """Return what a file says of the elements wanted; None where it is not of the plain kind.

    Args:
        file: Left at its start.
        wanted: As `wanted_of` gives them.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    for n_head in _HEAD_BYTES:
        file.seek(0)
        head = file.read(n_head)
        file.seek(0)
        try:
            found = _walked(head, wanted)
            return found if _ends(file, found, n_bytes) else None
        except _Extraordinary:
            return None
        except struct.error:  # the header is longer than what was read of it, or cut off
            continue
    return None


def plain_image(file: BufferedReader | BytesIO, wanted: Wanted) -> tuple[Dataset, NDArray[np.integer]] | None:
    """Return the elements wanted and the stored values, (H, W); None as above.

    One grey image in 8 or 16 bits is plain (PS3.5 8.1.1); anything else is pydicom's.

    Args:
        file: Left at its start if there is no answer.
        wanted: With `OF_PIXELS` among them.
    """
    found = plain_header(file, wanted)
    if found is None or not _is_grey(found.dataset):
        return None
    bits, used, highest = (integer_of(found.dataset, word, 0) for word in ("BitsAllocated", "BitsStored", "HighBit"))
    space = integer_of(found.dataset, "Rows", 0), integer_of(found.dataset, "Columns", 0)
    n_bytes = math.prod(space) * bits // 8
    if bits not in (8, 16) or not 0 < used <= bits or highest != used - 1 or not 0 < n_bytes <= MAX_BYTES:
        return None
    if found.n_bytes != n_bytes + n_bytes % 2:
        return None
    is_signed = number_of(found.dataset, "PixelRepresentation") == 1
    stored = np.empty(space, f"<{'i' if is_signed else 'u'}{bits // 8}")  # (H, W)
    file.seek(found.start)
    if file.readinto(stored.data.cast("B")) != n_bytes:
        file.seek(0)
        return None
    return found.dataset, _used(stored, bits - used)


def end_of_pixels(content: bytes) -> int | None:
    """Return where the pixels of a file end; None where it is not of the plain kind.

    Args:
        content: How the file begins, or only its data set in explicit little endian.
    """
    before = b"" if content[128:_FIRST] == b"DICM" else _BEFORE
    try:
        found = _walked(before + content, {})
    except (_Extraordinary, struct.error):
        return None
    return found.start + found.n_bytes - len(before)


def _is_grey(dataset: Dataset) -> bool:
    if not all(tells(dataset, word) for word in OF_PIXELS if word != "NumberOfFrames"):
        return False
    is_single = all(integer_of(dataset, word, 1) == 1 for word in ("SamplesPerPixel", "NumberOfFrames"))
    return is_single and text_of(dataset, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")


def _used(stored: NDArray[np.integer], n_above: int) -> NDArray[np.integer]:
    """Return the values without the bits above those in use, which may hold anything."""
    if n_above == 0:
        return stored
    return np.asarray((stored << n_above) >> n_above)  # brings the sign of signed ones down


def _ends(file: BinaryIO, found: Plain, n_bytes: int) -> bool:
    """Whether the file ends with its pixels, or with padding behind them, (FFFC,FFFC)."""
    end = found.start + found.n_bytes
    if end == n_bytes:
        return True
    file.seek(end)
    element = file.read(12)
    file.seek(0)
    try:
        is_implicit = found.dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        tag, _, length, value_at = (_implicit if is_implicit else _explicit)(element, 0)
    except (struct.error, _Extraordinary):
        return False
    return tag == _PADDING and end + value_at + length == n_bytes


def _walked(head: bytes, wanted: Wanted) -> Plain:
    if head[128:_FIRST] != b"DICM":
        raise _Extraordinary
    syntax, at = _meta(head)
    is_implicit = syntax == ImplicitVRLittleEndian
    element_at = _implicit if is_implicit else _explicit
    if is_implicit and head[at + 4 : at + 6] in _SHORT | _LONG:
        raise _Extraordinary  # the file says one thing and does another
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    last = _META << 16 | 0xFFFF
    while True:
        tag, vr, length, value_at = element_at(head, at)
        if tag <= last or tag in _BEYOND:
            raise _Extraordinary
        if tag == _PIXELS:
            break
        last = tag
        at = value_at + length
        if length == _UNKNOWN_LENGTH:
            at = _past(head, value_at, length, is_implicit=is_implicit, is_sequence=vr in (None, b"SQ", b"UN"))
        if tag in wanted and length:
            if at > len(head):
                raise struct.error
            known, usual = wanted[tag]
            kind = usual if vr is None else vr.decode()
            elements[known] = _element(known, kind, head[value_at:at], value_at, is_implicit)
    dataset = Dataset(elements)
    dataset.file_meta = _METAS[syntax]
    return Plain(dataset, value_at, length)


def _element(tag: BaseTag, kind: str, value: bytes, at: int, is_implicit: bool) -> RawDataElement:  # noqa: FBT001
    if kind in _IN_WORDS and (not value.isascii() or b"\x1b" in value):
        raise _Extraordinary  # it depends on the character set, (0008,0005)
    return RawDataElement(tag, kind, len(value), value, at, is_implicit, True)  # noqa: FBT003  (little endian)


def _meta(head: bytes) -> tuple[UID, int]:
    """Return the transfer syntax, and where the elements behind the meta group start (PS3.10 7.1)."""
    at, last, syntax = _FIRST, 0, None
    while True:
        if struct.unpack_from("<H", head, at)[0] != _META:
            break
        tag, _, length, value_at = _explicit(head, at)
        if tag <= last or length == _UNKNOWN_LENGTH:
            raise _Extraordinary
        last, at = tag, value_at + length
        if tag == _SYNTAX:
            said = head[value_at:at].rstrip(b"\0 ")
            syntax = next((one for one in _METAS if one.encode() == said), None)
    if syntax is None:
        raise _Extraordinary
    return syntax, at


def _explicit(head: bytes, at: int) -> tuple[int, bytes | None, int, int]:
    """Return tag, kind, length and start of the value of an element that tells its kind (PS3.5 7.1.2)."""
    group, number, vr, length = _TAG_KIND_LENGTH(head, at)
    if vr in _SHORT:
        return group << 16 | number, vr, length, at + 8
    if vr not in _LONG and vr != b"SQ":
        raise _Extraordinary
    return group << 16 | number, vr, _LONG_LENGTH(head, at + 8)[0], at + 12


def _implicit(head: bytes, at: int) -> tuple[int, bytes | None, int, int]:
    group, number, length = _TAG_LENGTH(head, at)
    return group << 16 | number, None, length, at + 8


def _past(head: bytes, at: int, length: int, *, is_implicit: bool, is_sequence: bool, depth: int = 0) -> int:
    """Return where the next element starts; a sequence of unknown length is walked through (PS3.5 7.5)."""
    if length != _UNKNOWN_LENGTH:
        return at + length
    if not is_sequence or depth > _DEEPEST:
        raise _Extraordinary
    while True:
        tag, _, length, at = _implicit(head, at)
        if tag == _SEQUENCE_ENDS:
            return at
        if tag != _ITEM:
            raise _Extraordinary
        at = at + length if length != _UNKNOWN_LENGTH else _past_item(head, at, is_implicit, depth)


def _past_item(head: bytes, at: int, is_implicit: bool, depth: int) -> int:  # noqa: FBT001
    while True:
        tag, _, length, value_at = _implicit(head, at)
        if tag == _ITEM_ENDS:
            return value_at
        tag, vr, length, at = (_implicit if is_implicit else _explicit)(head, at)
        at = _past(head, at, length, is_implicit=is_implicit, is_sequence=vr in (None, b"SQ", b"UN"), depth=depth + 1)
