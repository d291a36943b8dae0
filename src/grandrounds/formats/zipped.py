"""Files inside a ZIP, read one by one from memory: nothing is ever unpacked to the disk."""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from grandrounds import registry
from grandrounds.errors import BadData
from grandrounds.formats.budget import MAX_BYTES, MAX_DEFLATE, check_size
from grandrounds.formats.dicom_head import HEAD_BYTES, check_unpacked
from grandrounds.image import Image

_DICOM, _PICTURE = "grandrounds.formats.dicom:decode", "grandrounds.formats.picture:decode"
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"II", b"MM", b"BM")


def read(path: Path, member: str | None, frame: int | None) -> Image:
    """Return the DICOM image or picture in one member of a ZIP."""
    if member is None:
        raise BadData("a ZIP holds files, not one image", where=path, remedy="say which member is meant")
    content = content_of(path, member)
    head = content.getbuffer()[:132]
    is_picture = bytes(head[128:132]) != b"DICM" and bytes(head[:4]).startswith(_PICTURES)
    image: Image = registry.load(_PICTURE if is_picture else _DICOM)(content, path, frame)
    return image


def content_of(path: Path, member: str) -> io.BytesIO:
    """Return one member of a ZIP in memory; its name is only a key and leads nowhere.

    Raises:
        BadData: There is no such member, it is encrypted, damaged, or larger than the budget.
    """
    stat = path.stat()
    try:
        archive = _opened(path, stat.st_mtime_ns, stat.st_size)
        info = archive.getinfo(member)
        if info.flag_bits & 1:
            raise BadData("a member of this ZIP is encrypted", where=path, remedy="unpack it with its password")
        is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
        can_hold = info.compress_size * MAX_DEFLATE if is_deflated else info.file_size
        check_size((info.file_size,), np.uint8, path, stored_bytes=can_hold, limit_bytes=MAX_BYTES)
        with archive.open(info) as file:
            head = file.read(HEAD_BYTES)
            if not head.startswith(_PICTURES):  # those are checked by the size that they tell
                check_unpacked(head, info.file_size, info.compress_size, path)
            file.seek(0)
            return io.BytesIO(file.read(info.file_size))
    except KeyError:
        raise BadData(
            "there is no such member in this ZIP", where=path, remedy="check the name, or make the archive anew"
        ) from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        what = f"a member of this ZIP cannot be read ({type(error).__name__})"
        raise BadData(what, where=path, remedy="fetch the file again") from None


def members_of(path: Path) -> list[str]:
    """Return the names of the files in a ZIP, in its order.

    Raises:
        BadData: It is no complete ZIP.
    """
    stat = path.stat()
    try:
        return [info.filename for info in _opened(path, stat.st_mtime_ns, stat.st_size).infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError):
        raise BadData("this is not a complete ZIP", where=path, remedy="fetch the file again") from None


@lru_cache(maxsize=2)
def _opened(path: Path, _changed: int, _n_bytes: int) -> zipfile.ZipFile:
    # Its list of members is read once, not for every member.
    return zipfile.ZipFile(path)
