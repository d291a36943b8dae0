"""Prepared images on disk: one float32 array, mapped into memory, made once for each (samples, pipeline)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import specs, tables
from grandrounds.errors import BadData
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.prepare.ahead import Ahead
from grandrounds.prepare.pipeline import Pipeline
from grandrounds.prepare.reading import Ready, ready
from grandrounds.prepare.stored import Stored
from grandrounds.shapes import Images

Progress = Callable[[int, int], None]  # called with (samples prepared, samples in all)
_RECIPE = 2  # raised when the code of a step changes what it gives, so that older arrays are made anew
_DAY_S = 86_400.0  # without a byte: whoever wrote it, on whichever machine, is gone
_PLACE = ["path", "member", "frame"]


@dataclass(frozen=True, slots=True)
class PreparedArray:
    """Prepared images, one row a sample, in the order of the samples table that they were made for.

    Args:
        pixels: (N, C, H, W) or (N, C, D, H, W), mapped read-only.
        path: Its file; the stem is the identity.
    """

    pixels: np.memmap[Any, np.dtype[np.float32]]
    path: Path

    def chosen(self, rows: NDArray[np.integer]) -> Images:
        """Return some of the images: planes in memory; volumes stay on the disk, however many there are."""
        return np.asarray(self.pixels[rows]) if self.pixels.ndim == 4 else self.stored(rows)

    def stored(self, rows: NDArray[np.integer]) -> Images:
        """Return some of the images, which stay on the disk until they are asked for."""
        return Stored(self.path, self.pixels.offset, self.pixels.shape[1:], rows)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the array in a file that `materialise` made.

        Raises:
            BadData: There is no such file, or it is damaged.
        """
        try:
            pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            what = f"cannot read the prepared images: {type(error).__name__}"
            raise BadData(what, where=path, remedy="delete the file; it is made anew") from None
        if pixels.ndim not in (4, 5) or pixels.dtype != np.float32:
            raise BadData("these are no prepared images", where=path, remedy="delete the file; it is made anew")
        return cls(pixels, path)


def materialise(
    samples: pl.DataFrame, files: pl.DataFrame, pipeline: Pipeline, folder: Path,
    *, volumes: bool = False, progress: Progress | None = None, crew: Crew = ALONE, ahead: Ahead | None = None,
) -> PreparedArray:  # fmt: skip
    """Return the prepared images of these samples, made now or found where an earlier call left them.

    Args:
        samples: Table `samples`.
        files: Table `files`; a sample of several files is a volume, one of several series has each as a channel.
        pipeline: What is done to each image.
        folder: Where arrays are kept.
        volumes: Whether every sample is a volume, so that a plane is one of one slice.
        progress: Told how far it is; None for silence.
        crew: Who reads side by side; the array is the same with any number.
        ahead: What was prepared when the images were read for the first time; None for nothing.

    Raises:
        BadData: An image cannot be read or prepared, or the prepared images differ in shape.
        StoreTrouble: The folder cannot be written, or the disk is full.
    """
    rows = _rows(samples, files)
    # Pixels that nobody hashed are known by their place; otherwise a dataset may move without being prepared anew.
    places = rows.select(_PLACE).rows() if rows["sha256"].null_count() else []
    content = rows.select("row", "sample", "side", "series", "order", "sha256", "box").rows()
    # Steps work in millimetres and in Hounsfield units: whoever corrects a header gets other arrays of the same pixels.
    geometry = rows["geometry"].to_list() if rows["geometry"].null_count() < rows.height else []
    identity = specs.digest(
        [_RECIPE, content, places, pipeline.identity(), *(["volumes"] if volumes else []), *geometry]
    )
    path = folder / f"{identity}.npy"
    _sweep(folder)
    if path.exists():
        return PreparedArray.load(path)
    was_early = ahead is not None and ahead.covers(rows, pipeline)
    images = ahead.ready(rows) if ahead is not None and was_early else ready(rows, pipeline, crew, volumes=volumes)
    with tables.atomic(path) as temporary, temporary.open("wb") as file:
        _write(file, images, samples.height, progress or (lambda _done, _total: None))
    return PreparedArray.load(path)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left a day ago or earlier: it may be as large as all images of a study."""
    for left in folder.glob(".*.npy.*.tmp"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            if left.is_file() and time.time() - left.stat().st_mtime > _DAY_S:
                left.unlink()


def _rows(samples: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Return one row per file of a sample, with the number of the sample's row in the array."""
    if samples.is_empty():
        raise BadData("there are no images to prepare")
    files = tables.check(files, tables.FILES).select("sample", "series", "order", *_PLACE, "box")
    samples = tables.check(samples, tables.SAMPLES).with_row_index("row")
    samples = samples.select("row", "sample", "side", "sha256", "geometry")
    rows = samples.join(files, on="sample", how="left", maintain_order="left_right")
    if rows["path"].null_count():
        absent = rows.filter(pl.col("path").is_null())["sample"][0]
        raise BadData("no file is named for a sample", where=absent, remedy="give each sample a row in `files`")
    return rows


def _write(file: BinaryIO, images: Iterator[Ready], n_rows: int, progress: Progress) -> None:
    # Written row by row rather than through a map: a full disk is then an error with a message, not a crash.
    first: tuple[str, tuple[int, ...]] | None = None
    start = 0
    for done, (row, sample, pixels) in enumerate(images, start=1):
        if first is None:
            first = sample, pixels.shape
            header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, *pixels.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
        if pixels.shape != first[1]:
            raise _unlike(*first, pixels.shape, sample)
        file.seek(start + row * pixels.nbytes)
        file.write(pixels.astype("<f4", copy=False).tobytes())
        progress(done, n_rows)


def _unlike(first: str, shape: tuple[int, ...], here: tuple[int, ...], sample: str) -> BadData:
    """Return the refusal of a sample of another size, or other channels, than the first, (C, H, W) or (C, D, H, W)."""
    if shape[1:] == here[1:]:
        what = f"channels: {shape[0]} in {first}, {here[0]} here"
        steps = '"grayscale" or "rgb" to `whole`'
    else:
        what = f"size: {_pixels(shape)} in {first}, {_pixels(here)} here"
        steps = '"format_stack" to `each`' if len(here) == 4 else '"resize" or "pad_crop" to `each`'
    return BadData(f"prepared images differ in {what}", where=sample, remedy=f"add a step {steps} in the study")


def _pixels(shape: tuple[int, ...]) -> str:
    return f"{' × '.join(map(str, shape[1:]))} pixels"
