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

_CHUNK_BYTES = 2**14
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
        inflater, n_bytes = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while chunk := file.read(_CHUNK_BYTES):
            n_bytes += len(inflater.decompress(chunk))
            check_size((max(n_bytes, 1),), np.uint8, path, limit_bytes=MAX_BYTES)
    file.seek(0)


def _starts_with_group(head: bytes) -> bool:
    return len(head) >= 2 and any(struct.unpack(order, head[:2])[0] in _FIRST_GROUPS for order in ("<H", ">H"))
