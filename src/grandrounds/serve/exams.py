"""Which files are one volume, and which volumes one exam, where nobody describes a folder: told by places and headers.

A volume is a file that holds several slices, a folder with slices in the order in which people count, or a series of
DICOM files. Which series of its exam it shows is said by a file or folder that is called so; whatever else is in its
place names the exam: `exam1/axial/01.png`, `axial/exam1.npy` and `exam1_axial.nii.gz` are all of the axial series of
exam1. DICOM headers say the plane, the description and the exam themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from grandrounds import formats
from grandrounds.data import dicom_tree
from grandrounds.data.choosing import part_in
from grandrounds.data.exports import is_container
from grandrounds.errors import BadData
from grandrounds.formats import Part, Where
from grandrounds.image import Image
from grandrounds.layouts.natural import natural
from grandrounds.layouts.volumes import stem
from grandrounds.serve.damage import blame
from grandrounds.serve.in_order import InOrder

_BETWEEN = " _.-"


class Found(NamedTuple):
    """A volume or a plane that lies somewhere.

    Args:
        where: Its file or folder.
        exam: What names its exam.
        kind: Which of the series it shows; None where nothing says so.
        slices: The files or frames of its slices, in order; None where all of it lies in one place.
        lacks: Why it cannot be what it should be, where that is known before it is read.
        told: What whoever reads the answer should know of its slices.
    """

    where: Where
    exam: str
    kind: str | None
    slices: tuple[Part, ...] | None = None
    lacks: str | None = None
    told: str | None = None

    def read(self, reader: InOrder | None = None) -> Image:
        """Return the image; slices that lie together are a volume, be it of one.

        Args:
            reader: Who reads the slices of a file that are images of their own; None for anybody.

        Raises:
            BadData: It cannot be read, or its slices do not fit each other.
        """
        if self.lacks is not None:
            raise BadData(self.lacks, where=self.where.path)
        if self.slices is not None:
            return formats.read_stack(self.slices)
        return (reader or InOrder()).read(self.where)


def found_in(path: Path, series: Sequence[str], *, volumes: bool, kinds: Sequence[str] = ()) -> list[Found]:
    """Return the volumes or the planes of a path; nothing is decoded but headers.

    Args:
        path: A file, an archive, or a folder.
        series: What series may be called.
        volumes: Whether slices that lie together are one volume.
        kinds: Parts of descriptions that tell DICOM series apart, those too that nobody reads; none where planes do.

    Raises:
        BadData: There is nothing at that path.
    """
    lies_in = path if path.is_dir() else path.parent
    if volumes and path.exists() and is_container(path) and dicom_tree.holds_dicom(path):
        return _of_dicom(path, series, kinds)
    images = formats.images_in(path)
    if not volumes:
        return [Found(one, *_named(lies_in, one.path, series)) for each in images for one in _planes(each)]
    if not path.is_dir():
        return [Found(one, *_named(lies_in, one.path, series)) for one in images]
    is_whole = {one.path: formats.n_slices(one.path) is not None for one in images}
    whole = [one for one in images if is_whole[one.path]]
    stacks = _by_folder([path for path in is_whole if not is_whole[path]])
    return [
        *(Found(one, *_named(lies_in, one.path, series)) for one in whole),
        *(Found(Where(folder), *_named(lies_in, folder, series), slices) for folder, slices in stacks.items()),
    ]


def _planes(image: Where) -> Iterator[Where]:
    """Yield the slices of a volume in a file, or what is one plane."""
    n_slices = formats.n_slices(image.path) if image.member is None and image.frame is None else None
    if n_slices is None or n_slices == 1:
        yield image
    else:
        yield from (replace(image, frame=at) for at in range(n_slices))


def _by_folder(files: Sequence[Path]) -> dict[Path, tuple[Part, ...]]:
    """Return the slices that lie in each folder, 9 before 10."""
    slices: dict[Path, list[Part]] = {file.parent: [] for file in files}
    for file in sorted(files, key=lambda file: natural(file.name)):
        slices[file.parent].append(Part(file))
    return {folder: tuple(parts) for folder, parts in slices.items()}


def _named(lies_in: Path, place: Path, series: Sequence[str]) -> tuple[str, str | None]:
    """Return what names the exam of a place inside a folder, and which of the series it shows.

    >>> _named(Path("new"), Path("new/7/axial"), ("axial",)), _named(Path("new"), Path("new/axial.nii"), ("axial",))
    (('7', 'axial'), ('new', 'axial'))
    >>> _named(Path("new"), Path("new/7_axial.nii.gz"), ("axial", "coronal")), _named(Path("7"), Path("7"), ("axial",))
    (('7', 'axial'), ('7', None))
    """
    inside = place.relative_to(lies_in)
    words = [lies_in.resolve().name, *inside.parts[:-1], *([stem(inside)] if inside.parts else [])]
    for at in reversed(range(len(words))):
        for one in sorted(series, key=len, reverse=True):
            if (rest := _without(words[at], one)) is not None:
                return _joined([*words[:at], rest, *words[at + 1 :]]), one
    return _joined(words), None


def _without(word: str, name: str) -> str | None:
    """Return a word without a name that stands in it by itself; None where it does not.

    >>> _without("exam1_Axial", "axial"), _without("axial", "axial"), _without("biaxial", "axial")
    ('exam1', '', None)
    """
    found = re.search(rf"(?<![^{_BETWEEN}]){re.escape(name)}(?![^{_BETWEEN}])", word, re.IGNORECASE)
    return None if found is None else (word[: found.start()] + word[found.end() :]).strip(_BETWEEN)


def _joined(words: Sequence[str]) -> str:
    """Return the words below the first, which is the folder that was named; that one where there are no others."""
    below = [word for word in words[1:] if word]
    return "/".join(below) or words[0]


def _of_dicom(path: Path, series: Sequence[str], kinds: Sequence[str]) -> list[Found]:
    """Return the series of an export, what of it is damaged, and the volumes of other formats that lie beside them."""
    tree = dicom_tree.survey(path)
    damage = blame(tree, of_exams=bool(series))
    found = list(_series_of(tree, kinds, damage.of_series))
    lies_in = path if path.is_dir() else path.parent
    found += [
        Found(Where(place), *_named(lies_in, place, series), lacks=reason) for place, reason in damage.of_nobody.items()
    ]
    foreign = set(tree.faults.filter(fault="not DICOM")["path"]) if path.is_dir() else set()
    others = (one for one in formats.images_in(path) if str(one.path) in foreign) if foreign else ()
    volumes = (one for one in others if one.path not in damage.of_nobody and formats.n_slices(one.path) is not None)
    return [*found, *(Found(one, *_named(lies_in, one.path, series)) for one in volumes)]


def _series_of(tree: dicom_tree.Tree, kinds: Sequence[str], lacking: Mapping[str, str]) -> Iterator[Found]:
    """Yield the series of an export, which tell their plane or are told by their description, and their study."""
    gaps = dict(tree.faults.filter(fault="gap").select("series", "reason").iter_rows())
    by_series = tree.files.sort("order").partition_by("series", as_dict=True, maintain_order=True)
    for row in tree.series.iter_rows(named=True):
        name = row["series"]
        files = by_series[name,].select("path", "member", "frame").rows()
        slices = tuple(Part(Path(file), member, frame) for file, member, frame in files)
        part = part_in(row["description"], kinds)
        kind = row["plane"] if not kinds else None if part is None else kinds[part]
        place = Where(slices[0].path, slices[0].member)
        yield Found(place, row["study"] or name, kind, slices, lacking.get(name), gaps.get(name))
