"""Rows of a file of prepared images, read when they are asked for: memory holds a batch, however many there are.

They are read rather than mapped: pages of a map count as memory until the system wants them back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from grandrounds.errors import BadData


@dataclass(frozen=True, slots=True)
class Stored:
    """Images (N, C, …) that lie in a file, float32; `numpy.asarray` reads them, an index reads nothing.

    Args:
        path: The file.
        offset: Where its first image begins, in bytes.
        image: (C, …), the shape of one image.
        rows: Which images of the file these are, (N,).
    """

    path: Path
    offset: int
    image: tuple[int, ...]
    rows: NDArray[np.integer]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, …)."""
        return len(self.rows), *self.image

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, which: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """Return some of the images, still unread."""
        return replace(self, rows=self.rows[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401, FBT001  (NumPy's protocol)
        """Return all of them, read now.

        Raises:
            BadData: The file is shorter than it was.
        """
        if copy is False:
            raise ValueError("images on the disk cannot be had without reading them")
        pixels = np.empty(self.shape, np.dtype("<f4"))
        with self.path.open("rb") as file:
            for row, image in zip(self.rows, pixels, strict=True):
                file.seek(self.offset + int(row) * image.nbytes)
                if file.readinto(image.data) != image.nbytes:
                    raise BadData("the prepared images end early", where=self.path, remedy="delete the file")
        return pixels if dtype is None else pixels.astype(dtype, copy=False)
