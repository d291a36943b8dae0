"""NIfTI volumes of nobody for synthetic copies, written byte by byte, so that no library is on both sides."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TYPES = {"uint8": (2, 8), "int16": (4, 16), "float32": (16, 32)}  # NIfTI-1: datatype and bitpix


def write_nifti(path: Path, pixels: NDArray[np.generic], spacing_mm: tuple[float, float, float]) -> None:
    """Write a volume (D, H, W) as NIfTI-1 whose rows run to the right, columns to the front, slices up (RAS).

    Args:
        path: File to write, compressed where its name ends in `.gz`.
        pixels: Bytes, 16-bit integers or 32-bit floats.
        spacing_mm: Distance of the pixels along (slice, row, column).
    """
    code, bits = _TYPES[pixels.dtype.name]
    depth, height, width = pixels.shape
    slice_mm, row_mm, column_mm = spacing_mm
    head = struct.pack("<i36x8h", 348, 3, width, height, depth, 1, 1, 1, 1)  # sizeof_hdr at 0, dim at 40
    head += struct.pack(
        "<14x2h2x8f", code, bits, 1.0, column_mm, row_mm, slice_mm, 0, 0, 0, 0
    )  # datatype 70, pixdim 76
    head += struct.pack("<3f3xB", 352.0, 1.0, 0.0, 2)  # vox_offset 108, slope, intercept; millimetres at 123
    head = head.ljust(252, b"\0") + struct.pack("<2h", 0, 1)  # qform none, sform "scanner"
    affine = ((column_mm, 0, 0, -10), (0, row_mm, 0, -20), (0, 0, slice_mm, -30))
    head = head.ljust(280, b"\0") + b"".join(struct.pack("<4f", *row) for row in affine)
    content = head.ljust(344, b"\0") + b"n+1\0" + bytes(4) + np.ascontiguousarray(pixels).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
