"""Volumes in one file each, for layouts with several of an exam: which is read, and what a sample of it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from grandrounds.errors import BadData, BadSpec
from grandrounds.formats import n_slices
from grandrounds.formats.catalogue import FORMATS

ENDINGS = FORMATS.get("volume").suffixes
UNITS = {
    "slice": "A sample is a slice or frame of a file that holds several; it has the label of its case.",
    "volume": "A sample is a whole volume.",
}


class Chosen(NamedTuple):
    """A volume that is read, of the kind by which it was chosen."""

    case: str
    path: Path
    kind: str


def stem(path: Path) -> str:
    """Return a file's name without the ending of its format, which may have two dots.

    >>> stem(Path("sub-01_T1w.nii.gz")), stem(Path("case.1_0000.png"))
    ('sub-01_T1w', 'case.1_0000')
    """
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(one)), None)
    return path.name[: -len(ending)] if ending else path.stem


def choose(volumes: Sequence[Chosen], wanted: str | None, kinds: Sequence[str], source: Path) -> list[Chosen]:
    """Return the volumes of the kind that is wanted, or of the first kind of which there are any.

    Args:
        volumes: All of them.
        wanted: The kind, in upper or lower case, or a part of the file's name; None for the first of `kinds`, or for
            the only kind there is.
        kinds: What is looked for where nothing is wanted.
        source: Where, for messages.

    Raises:
        BadData: There are no images at all.
        BadSpec: There is no such volume, or it is not clear which is meant.
    """
    if not volumes:
        raise BadData("there are no images where this layout has them", where=source, remedy="unpack the whole set")
    there = sorted({volume.kind for volume in volumes})
    if wanted is None:
        kind = next((kind for kind in kinds if kind in there), None) or (there[0] if len(there) == 1 else None)
        found = [volume for volume in volumes if volume.kind == kind]
    else:
        found = [volume for volume in volumes if volume.kind.lower() == wanted.lower()]
        found = found or [volume for volume in volumes if wanted.lower() in stem(volume.path).lower()]
    if not found:
        what = "it is not clear which images are meant" if wanted is None else f"no image is called {wanted!r}"
        raise BadSpec(what, where=source, remedy=f"say --series.description with one of: {', '.join(there)}")
    return found


def first_of_each(volumes: Sequence[Chosen]) -> list[Chosen]:
    """Return one volume of each case, the first by the name of its file."""
    first: dict[str, Chosen] = {}
    for volume in sorted(volumes, key=lambda one: (one.case, one.path.name)):
        first.setdefault(volume.case, volume)
    return list(first.values())


def samples_of(volume: Chosen, unit: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each sample of a volume: its slices, or the whole; a file that is flat or bad is one sample."""
    name, n = stem(volume.path), n_slices(volume.path) if unit == "slice" else None
    row = {"case": volume.case, "path": str(volume.path), "series": volume.kind, "series_kind": volume.kind}
    if n is None:
        yield row | {"sample": name}
    for at in range(n or 0):
        yield row | {"sample": f"{name}-{at:04d}", "frame": at, "order": at}


def with_slices(rows: pl.DataFrame, unit: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows of a draft with one for each slice of a volume, where slices are asked for, and a note of it.

    A volume is the case of its slices unless its row names one. A volume that is bad stays one row.
    """
    paths = rows["path"].unique() if unit == "slice" else ()
    depths = {path: n for path in paths if (n := n_slices(Path(path))) is not None}
    if not depths:
        return rows, ()
    is_whole = pl.all_horizontal(pl.col("member", "frame", "box").is_null())
    depth = pl.when(is_whole).then(pl.col("path").replace_strict(depths, default=None, return_dtype=pl.Int64()))
    frames = pl.when(depth.is_null()).then(pl.concat_list("frame")).otherwise(pl.int_ranges(0, depth))
    name = pl.format("{}-{}", "sample", pl.col("frame").cast(pl.String()).str.zfill(4))
    is_slice = pl.col("_depth").is_not_null()
    apart = rows.with_columns(depth.alias("_depth"), frames.alias("frame")).explode("frame")
    apart = apart.with_columns(
        case=pl.when(is_slice).then(pl.coalesce("case", "sample")).otherwise("case"),
        sample=pl.when(is_slice).then(name).otherwise("sample"),
        order=pl.when(is_slice).then("frame").otherwise("order"),
    )
    return apart.drop("_depth"), (UNITS["slice"],)
