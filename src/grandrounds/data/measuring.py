"""Every image of a draft is read once, measured and hashed; a file that cannot be used has a reason instead.

Memory stays flat: one image is held at a time, or one volume where that is what a sample is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import formats
from grandrounds.data.draft import Progress
from grandrounds.errors import BadData
from grandrounds.formats import Part, read_frames, read_stack
from grandrounds.formats.abreast import ALONE, Crew, grouped
from grandrounds.formats.reading import crop
from grandrounds.image import Image, geometry_hash, pixel_hash
from grandrounds.shapes import Batch, Pixels

HEADER = ("patient", "side", "body_part", "sex", "age_years", "scanner", "kernel")  # what a file may tell
_EXACT = (np.uint8, np.uint16, np.int16)  # whole numbers that OpenCV sums without loss, fifteen times as fast
_Facts = dict[str, Any]
_Part = tuple[str, str | None, Sequence[int] | None]  # sample, its side by the table, its box in the image


class Measured(NamedTuple):
    """What reading the images found, per row of the draft: facts, or the reason why there are none."""

    facts: dict[int, _Facts]
    reasons: dict[int, str]


class Also(Protocol):
    """What else is done with each image while it is in memory."""

    @property
    def work(self) -> Callable[[Image, Sequence[_Part]], list[tuple[str, Batch]]]:
        """A function that may be called in another process, with an image and its samples."""

    def keep(self, sample: str, pixels: Batch) -> None:
        """Take what came of a sample."""


class _Place(NamedTuple):
    """Where the sample of a row lies, or one slice of it."""

    row: int
    sample: str
    side: str | None
    path: str
    member: str | None
    frame: int | None
    series: str | None = None
    box: Sequence[int] | None = None


_Work = Callable[[Image, Sequence[_Part]], list[tuple[str, Batch]]]


class _Piece(NamedTuple):
    """What came of some files: per row of the draft facts or a reason, and what else was done."""

    found: list[tuple[int, _Facts | str]]
    also: list[tuple[str, Batch]]


def measure(
    rows: pl.DataFrame, files: pl.DataFrame | None,
    *, volumes: bool = False, progress: Progress | None = None, crew: Crew = ALONE, also: Also | None = None,
) -> Measured:  # fmt: skip
    """Return the facts of every row; a file is read once, however many samples it holds.

    Args:
        rows: Rows of a draft.
        files: Table `files` of the samples that are made of several files; None where there are none.
        volumes: Whether a plane is a volume of one slice.
        progress: Called with the number of images read and of all.
        crew: Who reads side by side where there is enough to read.
        also: What else is done with the images of single files; None for nothing.
    """
    rows = rows.select("sample", "side", "path", "member", "frame", "series", "box").with_row_index("row")
    stacked = [] if files is None else _stacked(rows, files)
    several = {stack[0].row for stack in stacked}
    places = (_Place(*row) for row in rows.select(_Place._fields).iter_rows())
    single = grouped((place for place in places if place.row not in several), lambda place: (place.path, place.member))
    found = Measured({}, {})
    of_files = partial(_of_files, work=None if also is None else also.work, volumes=volumes)
    for work, groups, n_each in ((of_files, single, 16), (_of_stacks, stacked, 1)):
        for piece in crew.abreast(work, groups, n_each=n_each):
            for row, one in piece.found:
                if isinstance(one, str):
                    found.reasons[row] = one
                else:
                    found.facts[row] = one
            if also is not None:
                for sample, pixels in piece.also:
                    also.keep(sample, pixels)
            if progress is not None:
                progress(len(found.facts) + len(found.reasons), rows.height)
    return found


def _stacked(rows: pl.DataFrame, files: pl.DataFrame) -> list[list[_Place]]:
    """Return the slices of each sample that is made of several, in their order."""
    parts = rows.select("row", "sample", "side").join(files, on="sample").sort("row", "order", maintain_order=True)
    places = (_Place(*row) for row in parts.select(_Place._fields[:-1]).iter_rows())
    return grouped(places, lambda place: place.row)


def _of_files(groups: Sequence[Sequence[_Place]], work: _Work | None, *, volumes: bool) -> _Piece:
    piece = _Piece([], [])
    for group in groups:
        _add_file(group, work, piece, volumes=volumes)
    return piece


def _add_file(group: Sequence[_Place], work: _Work | None, piece: _Piece, *, volumes: bool) -> None:
    """Add what every sample in one file is: the frames that are asked for, and the boxes in them."""
    framed = grouped(sorted(group, key=_whole_first), lambda place: place.frame)
    images = _images(group[0].path, group[0].member, [places[0].frame for places in framed])
    for read, places in zip(images, framed, strict=True):
        image = formats.as_volume(read) if volumes and isinstance(read, Image) else read
        piece.found.extend((place.row, _facts_or_reason(image, place.box)) for place in places)
        if work is not None and isinstance(image, Image):
            piece.also.extend(work(image, [(place.sample, place.side, place.box) for place in places]))


def _whole_first(place: _Place) -> int:
    return -1 if place.frame is None else place.frame


def _of_stacks(stacks: Sequence[Sequence[_Place]]) -> _Piece:
    return _Piece([(stack[0].row, _of_stack(stack)) for stack in stacks], [])


def _of_stack(stack: Sequence[_Place]) -> _Facts | str:
    """Return the facts of a volume, or why there are none; of several series those of the first, and a hash of all."""
    try:
        told = [
            _facts(read_stack([Part(Path(place.path), place.member, place.frame) for place in places]))
            for places in grouped(stack, lambda place: place.series)
        ]
    except BadData as error:
        return error.what
    if len(told) == 1:
        return told[0]
    return told[0] | {"sha256": _together(told, "sha256"), "geometry": _together(told, "geometry"), "colours": None}


def _together(told: Sequence[_Facts], name: str) -> str | None:
    hashes = [one[name] for one in told]
    return hashlib.sha256("".join(one or "" for one in hashes).encode()).hexdigest() if any(hashes) else None


def _images(path: str, member: str | None, frames: Sequence[int | None]) -> Iterator[Image | BadData]:
    """Yield the image of each frame, or why there is none."""
    wanted = [frame for frame in frames if frame is not None]
    n_done = 0
    try:
        if len(wanted) < len(frames):
            yield formats.read(path, member=member)
            n_done += 1
        for image in read_frames(path, member=member, frames=wanted):
            yield image
            n_done += 1
    except BadData as error:
        yield error
        n_done += 1
        for frame in frames[n_done:]:
            yield from _images(path, member, [frame])


def _facts_or_reason(image: Image | BadData, box: Sequence[int] | None) -> _Facts | str:
    if isinstance(image, BadData):
        return image.what
    try:
        return _facts(image if box is None else crop(image, tuple(box)))
    except BadData as error:
        return error.what


def _facts(image: Image) -> _Facts:
    pixels = image.pixels
    if pixels.size == 0:
        raise BadData("the image is empty")
    if not image.is_finite:
        n_bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
        raise BadData(f"{n_bad:,} of {pixels.size:,} pixels are not finite numbers")
    space = image.space
    return {
        "height_px": space[-2],
        "width_px": space[-1],
        "depth_px": space[0] if len(space) == 3 else 1,
        "sha256": pixel_hash(image),
        "geometry": geometry_hash(image),
        **seen(image),
        "colours": image.colours,
        "lies": formats.lying(image.geometry) if len(space) == 3 else None,
        "header_modality": image.modality,
        **{f"header_{name}": image.header.get(name) for name in HEADER},
    }


def seen(image: Image) -> _Facts:
    """Return grey values and spacing of an image, by columns of the table `samples`."""
    pixels = image.pixels
    return {
        "spacing_mm": None if image.geometry.spacing_mm is None else list(image.geometry.spacing_mm),
        "encoding": "hu" if image.unit == "hu" else pixels.dtype.name,
        "low": float(pixels.min()),
        "mean": _mean(pixels),
        "high": float(pixels.max()),
    }


def _mean(pixels: Pixels) -> float:
    if pixels.dtype.type not in _EXACT:
        return float(pixels.mean(dtype=np.float64))
    plane: NDArray[Any] = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1])
    return cv2.mean(plane)[0]
