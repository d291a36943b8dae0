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
from grandrounds.formats.abreast import abreast
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


def ready(rows: pl.DataFrame, pipeline: Pipeline, workers: int = 1) -> Iterator[Ready]:
    """Yield the prepared pixels of each sample, in the order in which the files are best read.

    Args:
        rows: Columns `row, sample, side` and those of the files table; one row per file of a sample.
        pipeline: What is done to each image.
        workers: Processes that read side by side where there is enough to read.

    Raises:
        BadData: An image cannot be read or does not suit a step.
    """
    has_several = pl.col("row").is_duplicated()
    files = rows.filter(~has_several).partition_by("path", "member", maintain_order=True)
    for archive in (group for group in files if group.height > _MANY):
        yield from _of_file(archive, pipeline)  # one by one: all of its samples at once might not fit into memory
    files = [group for group in files if group.height <= _MANY]
    for piece in abreast(partial(_of_files, pipeline=pipeline), files, workers=workers):
        yield from piece
    volumes = rows.filter(has_several).partition_by("row", maintain_order=True)
    for piece in abreast(partial(_of_volumes, pipeline=pipeline), volumes, workers=workers, n_each=1):
        yield from piece


def _of_files(groups: Sequence[pl.DataFrame], pipeline: Pipeline) -> list[Ready]:
    return [one for group in groups for one in _of_file(group, pipeline)]


def _of_volumes(groups: Sequence[pl.DataFrame], pipeline: Pipeline) -> list[Ready]:
    return [_of_several(group, pipeline) for group in groups]


def _of_file(group: pl.DataFrame, pipeline: Pipeline) -> Iterator[Ready]:
    """Yield the samples that lie in one file: all of it, its frames, or patches of either."""
    path, member = group.select("path", "member").row(0)
    whole = group.filter(pl.col("frame").is_null())
    if whole.height:
        yield from _of_image(formats.read(Path(path), member=member), whole, pipeline)
    framed = group.filter(pl.col("frame").is_not_null())
    if framed.height:
        frames = framed["frame"].unique(maintain_order=True).to_list()
        images = formats.read_frames(Path(path), member=member, frames=frames)
        for image, (_, one) in zip(images, framed.group_by("frame", maintain_order=True), strict=True):
            yield from _of_image(image, one, pipeline)


def _of_image(image: Image, group: pl.DataFrame, pipeline: Pipeline) -> Iterator[Ready]:
    """Yield the samples of one image, which is prepared once for all of its patches of one side."""
    wholes: dict[str | None, Image] = {}
    for row, sample, side, box in group.select("row", "sample", "side", "box").iter_rows():
        with _naming(sample):
            if side not in wholes:
                wholes[side] = pipeline.start(with_side(image, side))
            yield Ready(row, sample, _finished(wholes[side], box, pipeline))


def _of_several(group: pl.DataFrame, pipeline: Pipeline) -> Ready:
    """Return a sample of several files: a volume; of several series, a channel or more for each."""
    row, sample, side, box = group.select("row", "sample", "side", "box").row(0)
    with _naming(sample):
        stacks = [
            formats.read_stack([formats.Part(Path(path), member, frame) for path, member, frame in places.iter_rows()])
            for _, one in group.group_by("series", maintain_order=True)
            for places in [one.select("path", "member", "frame")]
        ]
        image = stacks[0] if len(stacks) == 1 else _channels(stacks)
        whole = pipeline.start(with_side(image, side))
        return Ready(row, sample, _finished(whole, box, pipeline))


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
