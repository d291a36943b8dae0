"""Which series of an export may lack slices, because a file beside theirs cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grandrounds.data.dicom_drawn import NO_PIXELS
from grandrounds.data.dicom_tree import Tree

_DAMAGED = ("cut off", "empty", "unreadable", "missing", "no series")
_DICOM = (".dcm", ".dicom", ".ima")  # a file that is called so and is none has lost its beginning


class Damage(NamedTuple):
    """What cannot be read of an export.

    Args:
        of_series: By series, why it may lack slices.
        of_nobody: By file, why it cannot be read, where no series is near that it could be of.
    """

    of_series: Mapping[str, str]
    of_nobody: Mapping[Path, str]


def blame(tree: Tree, *, of_exams: bool) -> Damage:
    """Return whose slices the files may be that cannot be read: a file does not say so, but lies beside others.

    Args:
        tree: What the export holds.
        of_exams: Whether all series of an exam are read together, so that one that lies in a folder of its own, and
            of which nothing can be read, is missed as well.
    """
    of_series, of_nobody = dict[str, str](), dict[Path, str]()
    homes = {name: set[Path]() for name in tree.series["series"]}
    for row in tree.files.select("series", "path", "member").unique(maintain_order=True).iter_rows(named=True):
        if row["series"] in homes:
            homes[row["series"]].add(_place(row).parent)
    studies = dict(tree.series.select("series", "study").iter_rows())
    for row in tree.faults.iter_rows(named=True):
        if row["path"] is None or not _is_damage(row):
            continue
        near = set(_beside(_place(row).parent, homes, studies if of_exams else {}))
        for name in near:
            of_series.setdefault(
                name, f"slices may be missing, since {_place(row).name} cannot be read: {row['reason']}"
            )
        if not near:
            of_nobody[Path(row["path"])] = row["reason"]
    return Damage(of_series, of_nobody)


def _is_damage(row: Mapping[str, Any]) -> bool:
    if row["fault"] == "not DICOM":
        return _place(row).suffix.lower() in _DICOM
    return row["fault"] in _DAMAGED or row["reason"] == NO_PIXELS


def _place(row: Mapping[str, Any]) -> Path:
    return Path(row["path"]) / (row["member"] or "")


def _beside(folder: Path, homes: Mapping[str, Collection[Path]], studies: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the series in a folder; where there is none, those of the one study that lies around it."""
    here = [name for name, places in homes.items() if folder in places]
    yield from here
    if here or not studies:
        return
    for around in folder.parents:
        within = [name for name, places in homes.items() if any(around in (one, *one.parents) for one in places)]
        if within:
            yield from within if len({studies[name] for name in within}) == 1 else ()
            return
