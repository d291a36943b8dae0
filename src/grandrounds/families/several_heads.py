"""One network for several tasks: on which images it is trained, and what is known of each in every task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.families.protocol import View
from grandrounds.families.selection import labels_of, training_labels
from grandrounds.shapes import ClassIndex, Images, Mask
from grandrounds.training.losses import UNKNOWN


class Learned(NamedTuple):
    """What a network is trained on.

    Args:
        pixels: (N, C, …) of everybody whose label is known in any task.
        labels: (N,) where there is one task, else (N, tasks), `UNKNOWN` where nobody knows.
        views: The tasks, each with its own images and labels; the family's own comes first.
        notes: What a reader should be told.
    """

    pixels: Images
    labels: ClassIndex
    views: tuple[View, ...]
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many classes each task has."""
        return tuple(one.n_classes for one in self.views)


def learned(view: View) -> Learned:
    """Return what a network is trained on, in all tasks that the view of the role train holds.

    Raises:
        BadData: There are fewer than two classes of its own task.
    """
    own, views = training_labels(view), (view, *(one for one in view.others if len(one.samples)))
    if len(views) == 1:
        return Learned(view.pixels, own, views)
    names = pl.concat([one.samples["sample"] for one in views]).unique(maintain_order=True)
    labels = np.full((len(names), len(views)), UNKNOWN, dtype=np.int64)
    places = pl.int_range(len(names), eager=True)
    for task, one in enumerate(views):
        at = one.samples["sample"].replace_strict(names, places, return_dtype=pl.Int64)
        labels[at.to_numpy(), task] = labels_of(one)
    pixels = _together([one.pixels[which] for one, which in zip(views, _first(views), strict=True)])
    return Learned(pixels, labels, views, tuple(_told(views)))


def _first(views: tuple[View, ...]) -> Iterator[Mask]:
    """Yield for each view which of its samples stand in no view before it."""
    met = pl.Series([], dtype=pl.String())
    for one in views:
        yield (~one.samples["sample"].is_in(met.implode())).to_numpy()
        met = pl.concat([met, one.samples["sample"]])


def _told(views: tuple[View, ...]) -> Iterator[str]:
    known = ", ".join(f"{one.task.name} ({len(labels_of(one)):,} labels)" for one in views)
    yield f"one network with an output for each of {len(views)} tasks, {known}; its epoch is chosen for the first"


def _together(parts: list[Images]) -> Images:
    """Return all images, one part after another: planes in memory, volumes still on the disk."""
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    if isinstance(filled[0], np.ndarray):
        return np.concatenate([np.asarray(part) for part in filled])
    return Joined(tuple(filled), np.arange(sum(map(len, filled))))


@dataclass(frozen=True, slots=True)
class Joined:
    """Images (N, C, …) of several origins, one after another; `numpy.asarray` reads them, an index reads nothing.

    Args:
        parts: Images of one shape.
        rows: (N,) which of them, counted over all parts.
    """

    parts: tuple[Images, ...]
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, …)."""
        return len(self.rows), *self.parts[0].shape[1:]

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, which: slice | NDArray[np.integer] | Mask, /) -> Joined:
        """Return some of them; nothing is read."""
        return replace(self, rows=self.rows[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401, FBT001  (numpy's)
        """Return all of them, in memory."""
        images, start = np.empty(self.shape, dtype=np.float32), 0
        for part in self.parts:
            here = (self.rows >= start) & (self.rows < start + len(part))
            images[here] = np.asarray(part[self.rows[here] - start])
            start += len(part)
        return images if dtype is None else images.astype(dtype, copy=False)
