"""PNG, JPEG, TIFF, BMP, GIF and WebP through Pillow: every bit kept, sizes checked on the header."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps
from PIL.Image import Image as PillowImage

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.formats.budget import MAX_DEFLATE, check_file, check_size
from grandrounds.image import Image
from grandrounds.shapes import Pixels

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_MAY_MOVE = ("GIF", "WEBP")
_MAY_LIE = ("JPEG", "WEBP")  # a camera held upright says so in the header only
_DTYPES: dict[str, type[np.generic]] = {"I": np.int32, "F": np.float32}  # `I;16…` apart, the rest has eight bits
_HEAD_BYTES = 25  # of a PNG, up to its bit depth
_TIFF_BITS = 258  # BitsPerSample
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # at its most talkative it tells every tag with its value


def save_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (H, W), or (H, W, 3) of red, green and blue, as PNG, whole or not at all.

    Raises:
        StoreTrouble: The folder cannot be written, or the disk is full.
    """
    with tables.atomic(path) as temporary:
        Pillow.fromarray(picture).save(temporary, "PNG")


def read(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the picture in a file."""
    if member is not None:
        raise BadData(f"a picture has no member {member!r}", where=path)
    check_file(path)
    with path.open("rb") as file:
        return decode(file, path, frame)


def n_slices(path: Path) -> int | None:
    """Return the number of pages of a TIFF of several; else None."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    with Pillow.open(path, formats=("TIFF",)) as picture:
        n_pages: int = getattr(picture, "n_frames", 1)
    return n_pages if n_pages > 1 else None


def decode(file: BinaryIO, path: Path, frame: int | None) -> Image:
    """Return the picture in an open file; palettes and other colour spaces become RGB, an alpha channel is dropped.

    A TIFF of many pages becomes (C, D, H, W) unless `frame` picks one.
    """
    head = file.read(_HEAD_BYTES)
    n_bytes = file.seek(0, io.SEEK_END)
    with Pillow.open(file, formats=_FORMATS) as picture:
        if picture.format in _MAY_MOVE and getattr(picture, "is_animated", False):
            raise BadData("several frames are in this picture", where=path, remedy="save each as a PNG of its own")
        n_pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
        if frame is not None and not 0 <= frame < n_pages:
            raise BadData(f"there is no page {frame} in a picture of {n_pages}", where=path)
        pages = range(n_pages) if frame is None else (frame,)
        _check(picture, len(pages), head, n_bytes, path)
        header = _header(picture)
        if n_pages == 1:
            return Image(_pixels(picture, path), header=header)
        planes = []
        for page in pages:
            picture.seek(page)
            _check(picture, len(pages), head, n_bytes, path)
            planes.append(_pixels(picture, path))
    if len({plane.shape for plane in planes}) > 1:
        raise BadData("the pages of this TIFF differ in size", where=path, remedy="give one file per image")
    pixels = planes[0] if frame is not None else np.stack(planes, axis=1)  # (C, D, H, W)
    return Image(pixels, header=header)


def _header(picture: PillowImage) -> dict[str, str]:
    """Return how the picture was stored; how hard a JPEG was pressed stands in its first table (T.81 B.2.4.1)."""
    tables = getattr(picture, "quantization", None)
    pressed = f"step {sum(tables[min(tables)])}" if tables else str(picture.info.get("compression", ""))
    return {"format": str(picture.format), **({"compression": pressed} if pressed else {})}


def _check(picture: PillowImage, n_pages: int, head: bytes, n_bytes: int, path: Path) -> None:
    dtype = np.uint16 if picture.mode.startswith("I;16") else _DTYPES.get(picture.mode, np.uint8)
    shape = (n_pages, picture.height, picture.width, len(picture.getbands()))
    check_size(shape, dtype, path, stored_bytes=n_bytes * MAX_DEFLATE * 8 if picture.format == "PNG" else None)
    bits = picture.tag_v2.get(_TIFF_BITS, (8,)) if hasattr(picture, "tag_v2") else (_png_bits(head),)
    if len(picture.getbands()) > 1 and max(bits) > 8:
        raise BadData(
            "a colour picture of 16 bits would lose half of them",
            where=path,
            remedy="save it as a NumPy array (.npy), or with 8 bits",
        )


def _png_bits(head: bytes) -> int:
    return head[24] if head.startswith(b"\x89PNG") and len(head) == _HEAD_BYTES else 8  # ISO/IEC 15948 11.2.1, IHDR


def _pixels(picture: PillowImage, path: Path) -> Pixels:
    if picture.format in _MAY_LIE:
        picture = ImageOps.exif_transpose(picture)
    mode = picture.mode
    if mode in ("1", "LA", "La"):
        picture = picture.convert("L")
    elif mode not in ("L", "RGB", "I", "F") and not mode.startswith("I;16"):
        picture = picture.convert("RGB")
    array = np.asarray(picture)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    check_size(array.shape, array.dtype, path)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))  # (C, H, W)
