"""What is checked at the head of a DICOM file before pydicom reads it: that it is one, and what it unpacks to."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from grandrounds.errors import BadData
from grandrounds.formats.budget import MAX_BYTES, check_size
from grandrounds.formats.dicom_plain import end_of_pixels

_CHUNK_BYTES = 2**14
HEAD_BYTES = 2**20
_LITTLE_BYTES, _MUCH = 2**22, 100  # what inflates to more, and a hundredfold, is looked at closely
_PREAMBLE_BYTES = 132
_FIRST_GROUPS = (0x0002, 0x0008)


def check_head(file: BinaryIO, path: Path) -> None:
    """Refuse what is no DICOM file, and a deflated one (PS3.5 A.5) that inflates beyond the budget.

    Older files lack the preamble (PS3.10 7.1) and start with their first group. pydicom would take any bytes for
    elements, and inflates all of a file at once. The file is left at its start.

    Raises:
        BadData: With what is wrong.
    """
    head = file.read(_PREAMBLE_BYTES)
    file.seek(0)
    if not head:
        raise BadData("the file is empty", where=path, remedy="fetch the file again")
    if head[128:] != b"DICM" and not _starts_with_group(head):
        raise BadData("this is not a DICOM file", where=path, remedy="leave it out")
    read_preamble(file, force=True)
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2
    )
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        _check_deflated(file, path)
    file.seek(0)


def _check_deflated(file: BinaryIO, path: Path) -> None:
    """Refuse what inflates beyond the budget, or to little else than zeros."""
    inflater, head, n_bytes, started = zlib.decompressobj(-zlib.MAX_WBITS), bytearray(), 0, file.tell()
    while chunk := file.read(_CHUNK_BYTES):
        inflated = inflater.decompress(chunk)
        head += inflated[: max(0, HEAD_BYTES - len(head))]
        n_bytes += len(inflated)
        check_size((max(n_bytes, 1),), np.uint8, path, limit_bytes=MAX_BYTES)
    check_unpacked(bytes(head), n_bytes, file.tell() - started, path)


def check_unpacked(head: bytes, n_bytes: int, n_stored: int, path: Path) -> None:
    """Refuse what unpacks a hundredfold and more without being the pixels of a plain image.

    Args:
        head: How it begins, `HEAD_BYTES` of it at least or all of it.
        n_bytes: Unpacked.
        n_stored: Packed.
        path: The file.

    Raises:
        BadData: It is little else than zeros or repetition.
    """
    if n_bytes <= max(_LITTLE_BYTES, _MUCH * n_stored):
        return
    wanted = end_of_pixels(head)
    if wanted is None or abs(n_bytes - wanted) > HEAD_BYTES:
        raise BadData(
            "the compressed file holds hardly anything but zeros or repetition", where=path, remedy="leave it out"
        )


def _starts_with_group(head: bytes) -> bool:
    return len(head) >= 2 and any(struct.unpack(order, head[:2])[0] in _FIRST_GROUPS for order in ("<H", ">H"))
