"""NumPy arrays: `.npy` files and members of `.npz` archives; never a pickle, sizes checked before allocation."""

from __future__ import annotations

import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from grandrounds.errors import BadData
from grandrounds.formats.budget import MAX_DEFLATE, MAX_MEMBER_BYTES, check_size
from grandrounds.image import Image
from grandrounds.shapes import Pixels

MOST_CHANNELS = 4


class Header(NamedTuple):
    """What an array says of itself before its values."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[np.generic]


def read_npy(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the image in a `.npy` file, mapped from disk where a frame is asked for."""
    if member is not None:
        raise BadData(f"a plain array has no member {member!r}", where=path)
    with path.open("rb") as file:
        header = _header(file, path)
        offset = file.tell()
    refuse_objects(header, path, None)
    shape = header.shape if frame is None else header.shape[1:]
    _check_numbers(header, path)
    check_size(shape or (1,), header.dtype, path)
    check_size(header.shape or (1,), header.dtype, path, stored_bytes=path.stat().st_size - offset, limit_bytes=2**62)
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return Image(_owned(to_pixels(_frame_of(array, frame, path), path)))


def n_slices(path: Path) -> int | None:
    """Return the depth of the volume in a `.npy` file; None where it is flat or not all there."""
    with path.open("rb") as file:
        header = _header(file, path)
        n_bytes = path.stat().st_size - file.tell()
    check_size(header.shape or (1,), header.dtype, path, stored_bytes=n_bytes)
    pixels = to_pixels(np.broadcast_to(np.zeros((), header.dtype), header.shape), path)
    return pixels.shape[1] if pixels.ndim == 4 else None


def read_npz(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the image in one array of an archive; `name[3]` is the fourth of an array of images."""
    if member is None:
        names = members(path)
        if len(names) != 1:
            raise BadData(
                f"the archive holds {len(names)} arrays: {', '.join(sorted(names)[:12])}",
                where=path,
                remedy="say which one is the image",
            )
        member = names[0]
    name, index = found.groups() if (found := re.fullmatch(r"(.+)\[(\d+)\]", member)) else (member, None)
    array = _frame_of(load_member(path, name), None if index is None else int(index), path)
    return Image(_owned(to_pixels(_frame_of(array, frame, path), path)))


def members(path: Path) -> list[str]:
    """Return the names of the arrays in an archive.

    Raises:
        BadData: It is no complete archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        raise BadData("this is not a complete NPZ archive", where=path, remedy="fetch the file again") from None


def header_of(path: Path, member: str) -> Header:
    """Return shape and type of one array of an archive without decoding it."""
    with zipfile.ZipFile(path) as archive, archive.open(_info(archive, path, member)) as file:
        return _header(file, path)


def load_member(path: Path, member: str) -> NDArray[Any]:
    """Return one array of an archive, read-only.

    The few latest arrays stay in memory: an archive is read frame by frame, and must not be unpacked for each.

    Raises:
        BadData: There is no such array, it holds Python objects, or it claims more than the archive can hold.
    """
    stat = path.stat()
    return _load_member(path, member, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=3)
def _load_member(path: Path, member: str, _changed: int, _n_bytes: int) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        info = _info(archive, path, member)
        with archive.open(info) as file:
            header = _header(file, path)
            refuse_objects(header, path, member)
            can_hold = min(info.file_size, info.compress_size * MAX_DEFLATE)
            check_size(header.shape or (1,), header.dtype, path, stored_bytes=can_hold, limit_bytes=MAX_MEMBER_BYTES)
        with archive.open(info) as file:
            array: NDArray[Any] = npy_format.read_array(file, allow_pickle=False)
            file.read()  # to the end, where the checksum is compared
    array.flags.writeable = False
    return array


def refuse_objects(header: Header, path: Path, member: str | None) -> None:
    """Refuse an array of Python objects: to load it is to run whatever program the file holds.

    Raises:
        BadData: It is one.
    """
    if header.dtype.hasobject:
        raise BadData(
            f"{member or 'the array'} holds Python objects, which are never loaded",
            where=path,
            remedy="save it again as numbers or words: of images of one size numpy.stack(list(array)), of labels "
            "numpy.array(list(array))",
        )


def to_pixels(array: NDArray[Any], where: Path) -> Pixels:
    """Return an array of two to four axes as (C, H, W) or (C, D, H, W).

    Of three axes, a last one of at most four is taken for channels, else a first one of at most four, else the first
    is depth; of four, a last one of at most four is channels.
    """
    _check_numbers(Header(array.shape, fortran_order=False, dtype=array.dtype), where)
    check_size(array.shape or (1,), array.dtype, where)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    few = [n <= MOST_CHANNELS for n in array.shape]
    if array.ndim == 2:
        return array[None]  # (1, H, W)
    if array.ndim in (3, 4) and few[-1] and not all(few):
        return np.moveaxis(array, -1, 0)  # (C, H, W) or (C, D, H, W)
    if array.ndim == 3:
        return array if few[0] else array[None]  # (C, H, W) or (1, D, H, W)
    raise BadData(f"an array of shape {array.shape} is not one image", where=where)


def _frame_of(array: NDArray[Any], frame: int | None, where: Path) -> NDArray[Any]:
    if frame is None:
        return array
    if array.ndim < 3 or not 0 <= frame < array.shape[0]:
        raise BadData(f"there is no frame {frame} in an array of shape {array.shape}", where=where)
    taken: NDArray[Any] = array[frame]
    return taken


def _owned(pixels: Pixels) -> Pixels:
    """Return the pixels in memory of their own, so that neither a map nor a whole archive stays behind them."""
    return np.array(pixels, order="C")


def _info(archive: zipfile.ZipFile, path: Path, member: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(f"{member}.npy")
    except KeyError:
        raise BadData(f"the archive has no array {member!r}", where=path) from None


def _header(file: IO[bytes], path: Path) -> Header:
    try:
        version = npy_format.read_magic(file)
        read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        return Header(*read_header(file))
    except ValueError:
        raise BadData("this is not a complete NumPy array", where=path, remedy="fetch the file again") from None


def _check_numbers(header: Header, where: Path) -> None:
    if header.dtype.kind not in "biuf" or header.dtype.itemsize > 8:
        raise BadData(
            f"an array of type {header.dtype.name} is no image",
            where=where,
            remedy="save it as whole or floating-point numbers",
        )
