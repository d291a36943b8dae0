"""Where the DICOM files of an export lie: a folder tree, a DICOMDIR, or a ZIP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from grandrounds.data.exports import DICOMDIR
from grandrounds.errors import BadData
from grandrounds.formats.below import NOWHERE, files_below, leads_nowhere
from grandrounds.formats.zipped import members_of


class Found(NamedTuple):
    """One file of an export; a reason where it cannot be there."""

    path: Path
    member: str | None = None
    missing: str | None = None


def files_of(root: Path) -> Iterator[Found]:
    """Yield every file of an export in the order of their names; hidden files and links out of the folder do not count.

    Args:
        root: A folder, a DICOMDIR (PS3.3 F, PS3.10 8), or a ZIP.

    Raises:
        BadData: There is no such export, or it cannot be read.
    """
    if root.is_dir():
        yield from _of_folder(root)
    elif root.name.upper() == DICOMDIR:
        yield from _of_dicomdir(root)
    elif root.suffix.lower() == ".zip":
        for member in members_of(root):
            if not member.rpartition("/")[2].startswith("."):
                yield Found(root, member)
    else:
        raise BadData("this is no DICOM export", where=root, remedy="give a folder, a DICOMDIR or a ZIP")


def _of_folder(root: Path) -> Iterator[Found]:
    inside = root.resolve()
    for path in files_below(root):
        if path.name.upper() == DICOMDIR:
            continue
        if leads_nowhere(path):
            yield Found(path, None, NOWHERE)
        elif not path.is_symlink() or path.resolve().is_relative_to(inside):
            yield Found(path)


def _of_dicomdir(root: Path) -> Iterator[Found]:
    """Yield the files that the records of a DICOMDIR name, (0004,1500); a name may not lead out of its folder."""
    try:
        with warnings.catch_warnings(action="ignore"):
            is_packed = (
                pydicom.filereader.read_file_meta_info(root).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
            )
            records = [] if is_packed else pydicom.dcmread(root).DirectoryRecordSequence
            names = [record.get("ReferencedFileID") for record in records]
    except Exception as error:  # noqa: BLE001  (a damaged header may raise anything and quote a patient)
        raise BadData(
            f"this DICOMDIR cannot be read ({type(error).__name__})",
            where=root,
            remedy="give the folder that its files lie in, or copy it anew",
        ) from None
    if is_packed:
        raise BadData(
            "a DICOMDIR is never compressed (PS3.10 8.6), and this one is",
            where=root,
            remedy="give the folder that its files lie in",
        )
    folder = root.parent
    for name in names:
        if not name:
            continue
        parts = [name] if isinstance(name, str) else [str(part) for part in name]
        path = _spelled(folder, parts)
        if path is None:
            yield Found(
                folder.joinpath(*(Path(part).name for part in parts)), None, "the DICOMDIR names a missing file"
            )
        else:
            yield Found(path)


def _spelled(folder: Path, parts: list[str]) -> Path | None:
    """Return the file of that name in any spelling of upper and lower case; None where there is none inside."""
    path = folder
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            return None
        exact = path / part
        if not exact.exists():
            alike = (one for one in sorted(path.iterdir()) if one.name.lower() == part.lower()) if path.is_dir() else ()
            exact = next(iter(alike), exact)
        path = exact
    return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None
