"""From rows of the files table to prepared pixels: each file is opened once, and one image at a time is in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds import formats
from grandrounds.errors import Refusal
from grandrounds.formats.abreast import ALONE, Crew, grouped
from grandrounds.formats.reading import crop
from grandrounds.image import Image
from grandrounds.prepare.pipeline import Pipeline
from grandrounds.shapes import Batch

_MANY = 8  # samples of one file


class Ready(NamedTuple):
    """One sample as a model reads it: its row in the array, its name, (C, H, W) or (C, D, H, W)."""

    row: int
    sample: str
    pixels: Batch


class Source(NamedTuple):
    """Where a sample, or one file of it, lies."""

    row: int
    sample: str
    side: str | None
    series: str | None
    path: str
    member: str | None
    frame: int | None
    box: Sequence[int] | None


def ready(
    rows: pl.DataFrame, pipeline: Pipeline, crew: Crew = ALONE, *, volumes: bool = False
) -> Iterator[Ready]:  # fmt: skip
    """Yield the prepared pixels of each sample, in the order in which the files are best read.

    Args:
        rows: Columns `row, sample, side` and those of the files table; one row per file of a sample.
        pipeline: What is done to each image.
        crew: Who reads side by side where there is enough to read.
        volumes: Whether a plane is a volume of one slice.

    Raises:
        BadData: An image cannot be read or does not suit a step.
    """
    several = rows["row"].is_duplicated()
    files = grouped(_sources(rows.filter(~several)), lambda one: (one.path, one.member))
    for archive in (group for group in files if len(group) > _MANY):
        yield from _of_file(
            archive, pipeline, volumes=volumes
        )  # one by one: all of its samples at once might not fit into memory
    files = [group for group in files if len(group) <= _MANY]
    for piece in crew.abreast(partial(_of_files, pipeline=pipeline, volumes=volumes), files):
        yield from piece
    stacks = grouped(_sources(rows.filter(several)), lambda one: one.row)
    for piece in crew.abreast(partial(_of_volumes, pipeline=pipeline), stacks, n_each=1):
        yield from piece


def _sources(rows: pl.DataFrame) -> list[Source]:
    return [Source(*values) for values in rows.select(Source._fields).iter_rows()]


def _of_files(groups: Sequence[Sequence[Source]], pipeline: Pipeline, *, volumes: bool) -> list[Ready]:
    return [one for group in groups for one in _of_file(group, pipeline, volumes=volumes)]


def _of_volumes(groups: Sequence[Sequence[Source]], pipeline: Pipeline) -> list[Ready]:
    return [_of_several(group, pipeline) for group in groups]


def _of_file(group: Sequence[Source], pipeline: Pipeline, *, volumes: bool) -> Iterator[Ready]:
    """Yield the samples that lie in one file: all of it, its frames, or patches of either."""
    path, member = Path(group[0].path), group[0].member
    whole = [one for one in group if one.frame is None]
    if whole:
        image = formats.read(path, member=member)
        yield from of_image(formats.as_volume(image) if volumes else image, whole, pipeline)
    framed = grouped([one for one in group if one.frame is not None], lambda one: one.frame)
    if framed:
        frames = [ones[0].frame or 0 for ones in framed]
        images = formats.read_frames(path, member=member, frames=frames)
        for image, ones in zip(images, framed, strict=True):
            yield from of_image(formats.as_volume(image) if volumes else image, ones, pipeline)


def of_image(image: Image, group: Sequence[Source], pipeline: Pipeline) -> Iterator[Ready]:
    """Yield the samples of one image, which is prepared once for all of its patches of one side."""
    wholes: dict[str | None, Image] = {}
    for one in group:
        with _naming(one.sample):
            if one.side not in wholes:
                wholes[one.side] = pipeline.start(with_side(image, one.side))
            yield Ready(one.row, one.sample, _finished(wholes[one.side], one.box, pipeline))


def _of_several(group: Sequence[Source], pipeline: Pipeline) -> Ready:
    """Return a sample of several files: a volume; of several series, a channel or more for each."""
    first = group[0]
    with _naming(first.sample):
        series = grouped(group, lambda one: one.series)
        stacks = [
            formats.read_stack([formats.Part(Path(one.path), one.member, one.frame) for one in ones]) for ones in series
        ]
        image = stacks[0] if len(stacks) == 1 else _channels(stacks)
        whole = pipeline.start(with_side(image, first.side))
        return Ready(first.row, first.sample, _finished(whole, first.box, pipeline))


def _finished(whole: Image, box: Sequence[int] | None, pipeline: Pipeline) -> Batch:
    return pipeline.finish(whole if box is None else crop(whole, tuple(box)))


def _channels(series: Sequence[Image]) -> Image:
    """Return the series of one exam as channels of one image, all aligned with the first."""
    from grandrounds.prepare.align import align  # noqa: PLC0415  (SimpleITK takes a second, and few studies want it)

    first = series[0]
    pixels = [first.pixels.astype(np.float32), *(align(one, first).pixels for one in series[1:])]
    unit = first.unit if {one.unit for one in series} == {first.unit} else "grey"
    return dataclasses.replace(first, pixels=np.concatenate(pixels), unit=unit)  # (C of all series, D, H, W)


def with_side(image: Image, side: str | None) -> Image:
    """Return the image with the side that the samples table says; the header's own where it does not."""
    if side is None:
        return image
    return dataclasses.replace(image, header=MappingProxyType({**image.header, "side": side}))


@contextmanager
def _naming(sample: str) -> Iterator[None]:
    """Let a refusal name the sample, so that the image can be found among thousands."""
    try:
        yield
    except Refusal as error:
        raise type(error)(error.what, where=error.where or sample, remedy=error.remedy) from None
