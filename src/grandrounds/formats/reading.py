"""One door for every format: the first bytes choose the reader, and nothing but `BadData` comes out of a bad file."""

from __future__ import annotations

import warnings
from pathlib import Path

from grandrounds import registry
from grandrounds.errors import BadData, Refusal
from grandrounds.formats.below import NOWHERE, leads_nowhere
from grandrounds.formats.catalogue import FORMATS, FormatEntry
from grandrounds.geometry import moved
from grandrounds.image import Image

_HEAD_BYTES = 512

_ZIPPED = FormatEntry(
    "zip", "a member of a ZIP", (".zip",), (), "grandrounds.formats.zipped:read", "PKWARE APPNOTE 6.3"
)
# Files that turn up where an image should be; only for the message.
_STRANGERS = (
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet table"),
    (b"<", "a web page or XML text"),
    (b"{", "JSON text"),
)


def read(
    path: Path | str,
    *,
    member: str | None = None,
    frame: int | None = None,
    box: tuple[int, ...] | list[int] | None = None,
) -> Image:
    """Return the image in a file, as the file has it.

    Args:
        path: The file.
        member: Array inside an NPZ archive, or file inside a ZIP; None for a plain file.
        frame: Index along the first axis of that array or file; None for all of it.
        box: Top, left, bottom, right in pixels; None for all of it.

    Raises:
        BadData: The file is absent, of another type than its name says, truncated, hostile or larger than the budget.
    """
    path = Path(path)
    try:
        # A ZIP is no format of images: what its member holds decides.
        entry = _ZIPPED if member is not None and path.suffix.lower() == ".zip" else format_of(path)
        # Readers warn with the values they stumble over, and those may be a patient's.
        with warnings.catch_warnings(action="ignore"):
            image: Image = registry.load(entry.read)(path, member, frame)
    except Refusal:
        raise
    except OSError as error:
        raise BadData(
            f"the file cannot be read: {error.strerror or 'it is damaged'}",
            where=path,
            remedy="check that you may read it, or fetch it again",
        ) from None
    except Exception as error:  # noqa: BLE001  (a hostile file may raise anything; its message may quote a patient)
        raise BadData(
            f"the file cannot be read as {entry.name}: it is damaged or uses something unsupported "
            f"({type(error).__name__})",
            where=path,
            remedy="fetch the file again, or leave it out",
        ) from None
    return image if box is None else crop(image, tuple(box), where=path)


def names_image(path: Path) -> bool:
    """Whether the file's name, or its content where the name has no ending, says that one image is inside.

    Of a link that leads nowhere and has no ending nobody can tell, so it counts.
    """
    if path.name.startswith("."):
        return False
    if not path.suffix:
        return leads_nowhere(path) or any(entry.name != "npz" for entry in _by_content(_head(path)))
    entry = _by_name(path)
    return entry is not None and entry.name != "npz"


def crop(image: Image, box: tuple[int, ...], *, where: object = None) -> Image:
    """Return the part of the image inside (top, left, bottom, right); its origin moves along."""
    height, width = image.space[-2:]
    if len(box) != 4 or not (0 <= box[0] < box[2] <= height and 0 <= box[1] < box[3] <= width):
        raise BadData(f"the box {list(box)} does not lie inside an image of {height} x {width} pixels", where=where)
    top, left, bottom, right = box
    return Image(
        image.pixels[..., top:bottom, left:right],
        moved(image.geometry, first_px=(top, left), step_px=(1.0, 1.0)),
        image.unit,
        image.modality,
        image.header,
    )


def format_of(path: Path) -> FormatEntry:
    """Return the format of a file; its content decides, and its name must not contradict.

    Raises:
        BadData: There is no such file, or it is of no format that is read.
    """
    if leads_nowhere(path):
        raise BadData(NOWHERE, where=path, remedy="fetch the content, for instance with datalad get or git annex get")
    if not path.exists():
        raise BadData("there is no such file", where=path, remedy="check the path")
    if path.is_dir():
        raise BadData("this is a folder, not an image", where=path, remedy="name a file in it")
    head = _head(path)
    named, found = _by_name(path), _by_content(head)
    if not head:
        raise BadData("the file is empty", where=path, remedy="fetch the file again")
    if named is not None and named in found:
        return named
    if named is None and found:
        return found[0]
    if named is not None and named.name == "dicom" and not found and not _stranger(head):
        return named  # older DICOM files lack the preamble (PS3.10 7.1); the reader decides
    raise BadData(
        f"the file seems to be {_seems(head, found)}, {f'not {named.name}' if named else 'which is not read here'}",
        where=path,
        remedy="give it the ending that fits, or leave it out",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _by_name(path: Path) -> FormatEntry | None:
    name = path.name.lower()
    return next((entry for entry in FORMATS if name.endswith(entry.suffixes)), None)


def _by_content(head: bytes) -> list[FormatEntry]:
    return [entry for entry in FORMATS if any(head.startswith(magic, offset) for offset, magic in entry.magic)]


def _stranger(head: bytes) -> str | None:
    return next((name for magic, name in _STRANGERS if head.lstrip().startswith(magic)), None)


def _seems(head: bytes, found: list[FormatEntry]) -> str:
    if (stranger := _stranger(head)) is not None:
        return stranger
    if found:
        return found[0].name
    return "plain text" if head.isascii() and b"\x00" not in head else "something unknown"
