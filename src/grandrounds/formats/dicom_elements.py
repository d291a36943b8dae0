"""What single elements of a DICOM header say; what is plain ASCII or a plain number is taken as it stands in the file.

A tenth of the time: what pydicom makes of each value is rarely wanted here. Where a value is not plain, pydicom is
asked what it means (PS3.5 6.2).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from grandrounds.errors import BadData

_MOST_DEFLATED = 1032  # bytes that one byte can stand for: 258 for a length and a distance of one bit each, RFC 1951
_TEXT = ("AS", "CS", "DS", "IS", "LO", "SH", "UI")  # kinds of values whose ASCII means itself
SIDES = {"L": "left", "R": "right"}  # (0020,0060)
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_ESCAPE = b"\x1b"  # begins another character set, in bytes that are ASCII too (PS3.5 6.1.2.5)


def tells(dataset: Dataset, keyword: str) -> bool:
    """Whether there is such an element."""
    return _element(dataset, keyword) is not None


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element as text, several values with a backslash between; empty where none is there or can be read."""
    element = _element(dataset, keyword)
    if element is None:
        return ""
    plain = _plain(element)
    if plain is not None:
        return plain
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return ""  # a value that cannot be decoded is as good as none
    if value is None:
        return ""
    parts = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return "\\".join(_stripped(str(part)) for part in parts)


def years_of(age: str | None) -> float | None:
    """Return an age such as `"018M"` in years, of four digits; None where it is no age.

    >>> years_of("018M"), years_of("010D"), years_of("old")
    (1.5, 0.02738, None)

    Reference: DICOM PS3.5 6.2, AS: three digits and a unit.
    """
    told = re.fullmatch(r"(\d{3})([DWMY])", age or "")
    return float(f"{float(told[1]) * _DAYS[told[2]] / _DAYS['Y']:.4g}") if told else None


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return an element of one number; None where there is none.

    Raises:
        ValueError: It is no number, or several.
    """
    element = _element(dataset, keyword)
    if element is None:
        return None
    if isinstance(element, RawDataElement) and element.VR == "US" and element.length == 2 and element.value:
        return int.from_bytes(element.value, "little" if element.is_little_endian else "big")
    plain = _plain(element)
    value = dataset.get(keyword) if plain is None else plain
    return None if value is None or value == "" else float(value)


def integer_of(dataset: Dataset, keyword: str, absent: int) -> int:
    """Return an element of one whole number, or `absent` where there is none or it is zero."""
    return int(number_of(dataset, keyword) or absent)


def frames_of(dataset: Dataset, n_bytes: int, path: Path) -> int:
    """Return the number of frames, (0028,0008), of a file of so many bytes.

    Raises:
        BadData: There cannot be so many, since each has a byte at least.
    """
    n_frames = integer_of(dataset, "NumberOfFrames", 1)
    most = n_bytes * (_MOST_DEFLATED if syntax_of(dataset) == DeflatedExplicitVRLittleEndian else 1)
    if n_frames > most:
        raise BadData(f"the header claims {n_frames:,} frames, and the file has {n_bytes:,} bytes", where=path)
    return n_frames


def numbers_of(dataset: Dataset, keyword: str) -> Any:  # noqa: ANN401  (whatever the file holds)
    """Return the values of an element, as text where it is plain; None where there is none."""
    element = _element(dataset, keyword)
    if element is None:
        return None
    plain = _plain(element)
    return dataset.get(keyword) if plain is None else plain.split("\\")


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none where there is none."""
    return [] if _element(dataset, keyword) is None else [*dataset.get(keyword, ())]


def _plain(element: Any) -> str | None:  # noqa: ANN401  (raw, or converted already)
    """Return an element of plain ASCII text as it stands in the file; None where pydicom has to be asked."""
    if not isinstance(element, RawDataElement) or element.VR not in _TEXT or not element.value:
        return None
    content: bytes = element.value
    if not content.isascii() or _ESCAPE in content:
        return None
    text = content.decode("ascii")
    return _stripped(text) if "\\" not in text else "\\".join(map(_stripped, text.split("\\")))


def syntax_of(dataset: Dataset) -> Any:  # noqa: ANN401  (a UID, or whatever the file has in its place)
    """Return the transfer syntax, (0002,0010); None where none is told."""
    meta = getattr(dataset, "file_meta", None)
    return (
        None if meta is None or _element(meta, "TransferSyntaxUID") is None else meta[tag_of("TransferSyntaxUID")].value
    )


def _element(dataset: Dataset, keyword: str) -> Any:  # noqa: ANN401  (raw, or converted already)
    # The method for it, `get_item`, makes a tag of the tag first, which took a third of what elements took.
    return dataset._dict.get(tag_of(keyword))  # noqa: SLF001


@cache
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a keyword; always the same object, which is found without being compared."""
    return Tag(keyword)


def _stripped(text: str) -> str:
    return text.replace("\x00", "").strip()
