"""Images prepared while they are read for the first time, so that none is decoded twice.

Only where the pipeline is known beforehand: a study that was planned elsewhere, a model on data from elsewhere. What
was prepared waits in a file without a name until `materialise` puts it in order.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Self

import numpy as np
import polars as pl

from grandrounds.errors import Refusal
from grandrounds.image import Image
from grandrounds.prepare.pipeline import Pipeline
from grandrounds.prepare.reading import Ready, Source, of_image
from grandrounds.shapes import Batch

_Part = tuple[str, str | None, Sequence[int] | None]  # sample, its side by the table, its box in the image


class Ahead:
    """What was prepared while it was read.

    Args:
        pipeline: What is done to each image.
        folder: Where there is room for it until it is put in order.
    """

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._places: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    @cached_property
    def _file(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  (open as long as this is)
        weakref.finalize(self, file.close)
        return file

    @classmethod
    def where_new(cls, pipeline: Pipeline | None, folder: Path) -> Self | None:
        """Return one where a pipeline is known and nothing lies prepared already."""
        return None if pipeline is None or any(folder.glob("*.npy")) else cls(pipeline, folder)

    @property
    def work(self) -> Callable[[Image, Sequence[_Part]], list[tuple[str, Batch]]]:
        """What is done with an image in whichever process read it: its samples, prepared; none that are refused."""
        return partial(_prepared, pipeline=self._pipeline)

    def keep(self, sample: str, pixels: Batch) -> None:
        """Keep the pixels of a sample; what does not fit the others, or on the disk, is prepared later in its turn."""
        self._shape = self._shape or pixels.shape
        if pixels.shape != self._shape:
            return
        try:
            self._file.seek(len(self._places) * pixels.nbytes)
            self._file.write(pixels.tobytes())
        except OSError:
            return
        self._places[sample] = len(self._places)

    def covers(self, rows: pl.DataFrame, pipeline: Pipeline) -> bool:
        """Whether all of these rows of the files table were prepared, and by this pipeline."""
        samples = rows["sample"]
        return pipeline == self._pipeline and samples.is_unique().all() and samples.is_in(list(self._places)).all()

    def ready(self, rows: pl.DataFrame) -> Iterator[Ready]:
        """Yield the pixels of each sample in turn."""
        n_values = int(np.prod(self._shape))
        for row, sample in rows.select("row", "sample").iter_rows():
            self._file.seek(self._places[sample] * n_values * np.dtype(np.float32).itemsize)
            pixels = np.frombuffer(self._file.read(n_values * np.dtype(np.float32).itemsize), np.float32)
            yield Ready(row, sample, pixels.reshape(self._shape))


def _prepared(image: Image, parts: Sequence[_Part], pipeline: Pipeline) -> list[tuple[str, Batch]]:
    sources = [Source(0, sample, side, None, "", None, None, box) for sample, side, box in parts]
    try:
        return [(one.sample, one.pixels) for one in of_image(image, sources, pipeline)]
    except Refusal:
        return []  # said by `materialise`, if the image is wanted at all
