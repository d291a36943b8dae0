"""Slices of a file that are asked for one after another: the file is decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grandrounds import formats
from grandrounds.formats import Where
from grandrounds.image import Image


class InOrder:
    """A reader of images that goes on where it stopped, as long as the next slice of the same file is asked for."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._next = 0
        self._images: Iterator[Image] = iter(())

    def read(self, where: Where) -> Image:
        """Return the image of a place.

        Raises:
            BadData: It cannot be read.
        """
        if where.member is not None or where.frame is None:
            return formats.read(where.path, member=where.member, frame=where.frame)
        if (where.path, where.frame) != (self._path, self._next):
            n_slices = formats.n_slices(where.path) or where.frame + 1
            self._images = formats.read_frames(where.path, frames=range(where.frame, n_slices))
        self._path = None  # a slice that is bad ends the file for whoever reads on
        image = next(self._images)
        self._path, self._next = where.path, where.frame + 1
        return image
