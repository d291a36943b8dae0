"""Which of two levels of folders names the classes: patients lie below classes, and classes below sites."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grandrounds.data.spellings import plain
from grandrounds.errors import BadSpec
from grandrounds.formats import files_below, names_image
from grandrounds.tables import Role

# What lies below classes under the same names: series, planes, sides and kinds of files.
_BELOW = re.compile(
    r"(axial|coronal|sagittal|left|right|l|r|cc|mlo|pa|ap|lateral|frontal|images?|imgs?|masks?|labels?|dicom|dcm|png|"
    r"jpe?g|tiff?|nii|nifti|t1|t2|flair|adc|dwi|pd|stir)[a-z0-9 ._+-]?"
)
_MOST_SHOWN = 12


class ClassFolder(NamedTuple):
    """A folder of images of one class, perhaps in a part of a split, perhaps of one site."""

    role: Role | None
    label: str
    folder: Path
    site: str | None = None


class Levelled(NamedTuple):
    """The class folders, and what to tell of the level that was not taken for them."""

    folders: Sequence[ClassFolder]
    notes: tuple[str, ...] = ()


def levelled(found: Sequence[tuple[ClassFolder, Sequence[Path]]], classes: Collection[str], source: Path) -> Levelled:
    """Return the class folders: the outer ones, or the inner ones where the named classes are among these alone.

    Args:
        found: Outer folders and the folders inside each.
        classes: Names of classes; none where nobody said.
        source: Where, for messages.

    Raises:
        BadSpec: Several outer folders hold inner ones of the same names, so that either could be the classes, and
            nobody named them.
    """
    outer = [one for one, _ in found]
    named = {plain(name) for name in classes}
    if named:
        inner = [ClassFolder(one.role, below.name, below, one.label) for one, within in found for below in within]
        is_inner = not named & {plain(one.label) for one in outer} and named & {plain(one.label) for one in inner}
        return Levelled(inner if is_inner else outer)
    below = _below(found)
    shared = _shared(below)
    if not shared or all(_BELOW.fullmatch(name) for name in shared):
        return Levelled(outer)
    above, names = list(below), list(dict.fromkeys(within.name for _, inner in found for within in inner))
    what = f"the folders {_listed(above)} hold folders of the same names: {_listed(names)}"
    if all(any(sign.isdigit() for sign in name) for name in shared):  # numbers of patients, most likely
        note = f"{what[0].upper()}{what[1:]}. They are not taken for classes; naming them with --classes does so."
        return Levelled(outer, (note,))
    as_inner, as_outer = (shlex.quote(",".join(some)) for some in (names, above))
    raise BadSpec(
        f"{what}; either could be the classes",
        where=source,
        remedy=f"say --classes {as_inner} if these are the classes, and the outer folders sites; else "
        f"--classes {as_outer}; or list the images in a CSV with the columns image, label and site",
    )


def _below(found: Sequence[tuple[ClassFolder, Sequence[Path]]]) -> dict[str, set[str]]:
    """Return the names inside outer folders of each name; nothing where one has images of its own, or no folder."""
    names: dict[str, set[str]] = {}
    for one, within in found:
        holding = {plain(below.name) for below in within if any(map(names_image, files_below(below)))}
        if not holding or any(names_image(file) for file in one.folder.iterdir() if not file.is_dir()):
            return {}
        names.setdefault(one.label, set()).update(holding)
    return names


def _shared(below: Mapping[str, set[str]]) -> set[str]:
    """Return the names that lie in several outer folders, where each has one and hardly any name lies in one alone."""
    counts = Counter(name for names in below.values() for name in names)
    shared = {name for name, n in counts.items() if n > 1}
    is_rule = len(counts) > 1 and 2 * len(shared) >= len(counts) and all(names & shared for names in below.values())
    return shared if is_rule else set()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (" …" if len(names) > _MOST_SHOWN else "")
