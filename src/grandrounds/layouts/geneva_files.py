"""Which files of the Geneva ILD database belong together: sections, texts, masks of regions and of the lung.

Sections belong to the CT file whose name ends in their number, not to a place in an alphabetical list; numbers are
padded in CT names but not in mask names; some names run the series and the section together; some patients have a
folder for each series, and the pilot patients one folder more; archives made on a Mac bring shadow files that start
with a dot. The CT files are the same in all trees, so that a tree may hold masks alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from grandrounds.errors import BadData
from grandrounds.layouts.natural import natural

TEXTS, MASKS, LUNGS = "ILD_DB_txtROIs", "ILD_DB_volumeROIs", "ILD_DB_lungMasks"
_PILOT = "HRCT_pilot"
_CT_DIGITS = 4  # of a section's number in the name of a CT file

Sections = Mapping[int, Sequence[Path]]  # files by the number at the end of their names


@dataclass(frozen=True, slots=True)
class Series:
    """The files of one series.

    Args:
        patient: Whose it is.
        text: The ROI file; in a tree of masks, their folder.
        sections: CT files.
        masks: Masks of the regions; None where the regions stand in the text.
        lungs: Masks of the lung, where there are any.
    """

    patient: str
    text: Path
    sections: Sections
    masks: Sections | None
    lungs: Sections


def tree_of(root: Path) -> Path | None:
    """Return the tree that holds the regions: the one that was given, else texts before masks; None for neither."""
    places = [root, *(one / name for name in (TEXTS, MASKS) for one in (root, root / "ILD_DB"))]
    return next((one for one in places if one.name in (TEXTS, MASKS) and one.is_dir()), None)


def series_of(tree: Path) -> Iterator[Series]:
    """Yield every series of a tree, patients in natural order."""
    pattern = "*.txt" if tree.name == TEXTS else "roi_mask"
    found = (place for place in tree.rglob(pattern) if not place.name.startswith("."))
    for place in sorted(found, key=lambda path: [natural(part) for part in path.parts]):
        parts = place.relative_to(tree).parts
        if len(parts) == 1:  # a text beside the patients' folders is a readme
            continue
        patient = parts[1] if parts[0] == _PILOT and len(parts) > 2 else parts[0]
        lungs = tree.parent / LUNGS / place.parent.relative_to(tree) / "lung_mask"
        if tree.name == TEXTS:
            series = digits.group() if (digits := re.search(r"\d+$", place.stem)) else ""
            yield Series(patient, place, _sections(place.parent, series), None, _sections(lungs, series))
            continue
        names = (re.search(r"(\d+)_\d+$", path.stem) for path in _files(place))
        for series in sorted({name[1] for name in names if name}):
            ours = _sections(place.parent, series) or _sections(_elsewhere(tree, place.parent), series)
            yield Series(patient, place, ours, _sections(place, series), _sections(lungs, series))


def only(files: Sections, number: int, what: str, where: Path) -> Path:
    """Return the one file of a section; a localiser (PS3.3 C.8.2.1.1.1) of the same number is passed over.

    Raises:
        BadData: There is none, or nothing tells which of several is meant.
    """
    paths = files.get(number, ())
    if len(paths) > 1:
        paths = [path for path in paths if not _is_localiser(path)]
    if len(paths) != 1:
        n = f"no {what}" if not paths else f"more than one {what} ({len(paths)})"
        raise BadData(f"there is {n} for section {number}", where=where)
    return paths[0]


def trailing_number(path: Path, series: str = "") -> int | None:
    """Return the section's number at the end of a file's name, None where there is none.

    Args:
        path: A CT or mask file.
        series: Digits of its series; where they run into the section's four, only the latter count.

    >>> trailing_number(Path("CT-7605-0004.dcm")), trailing_number(Path("roi_mask_7605_4.dcm"))
    (4, 4)
    >>> trailing_number(Path("CT76050004.dcm"), "7605")
    4
    """
    found = re.search(r"\d+$", path.stem)
    if not found:
        return None
    digits = found.group()
    together = len(digits) == len(series) + _CT_DIGITS and digits.startswith(series)
    return int(digits[-_CT_DIGITS:] if together else digits)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.dcm")) if not path.name.startswith(".")]


def _sections(folder: Path, series: str) -> Sections:
    """Return the files of a folder by their sections; where several series lie there, its own."""
    files = _files(folder)
    own = [path for path in files if series and re.search(rf"(?<!\d){series}(\D|\d{{{_CT_DIGITS}}}$)", path.stem)]
    sections: dict[int, list[Path]] = defaultdict(list)
    for path in own or files:
        if (number := trailing_number(path, series)) is not None:
            sections[number].append(path)
    return dict(sections)


def _elsewhere(tree: Path, folder: Path) -> Path:
    return tree.parent / TEXTS / folder.relative_to(tree)


def _is_localiser(path: Path) -> bool:
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ImageType"])
    except (OSError, InvalidDicomError, ValueError):
        return False
    return "LOCALIZER" in (ds.get("ImageType") or ())  # (0008,0008)
