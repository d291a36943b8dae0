"""The series of each exam as channels of one image, read from where they lie when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.errors import BadData
from grandrounds.families import exam
from grandrounds.families.protocol import View
from grandrounds.shapes import Images, Mask

_NOT_THERE = -1


@dataclass(frozen=True, slots=True)
class Stacked:
    """Exams (N, S·(C + 1), …): the series one after another, then of each whether it is there, as 1 or −1.

    A series that is not there is 0 everywhere.

    Args:
        series: The images of all series, (M, C, …).
        rows: (N, S) which of them each exam has, −1 for none.
    """

    series: Images
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S·(C + 1), …)."""
        n_exams, n_series = self.rows.shape
        return (n_exams, n_series * (self.series.shape[1] + 1), *self.series.shape[2:])

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, which: slice | NDArray[np.integer] | Mask, /) -> Stacked:
        """Return some of the exams; nothing is read."""
        return replace(self, rows=self.rows[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401, FBT001  (numpy's)
        """Return all of them, in memory."""
        n_exams, n_series = self.rows.shape
        n_channels = self.series.shape[1]
        images = np.zeros((n_exams, n_series, n_channels, *self.series.shape[2:]), dtype=np.float32)
        there = self.rows != _NOT_THERE
        images[there] = np.asarray(self.series[self.rows[there]])
        flags = np.where(there, np.float32(1), np.float32(-1))
        space = (1,) * (images.ndim - 3)
        flags = np.broadcast_to(flags.reshape(n_exams, n_series, *space), (n_exams, n_series, *images.shape[3:]))
        stacked = np.concatenate([images.reshape(n_exams, n_series * n_channels, *images.shape[3:]), flags], axis=1)
        return stacked if dtype is None else stacked.astype(dtype, copy=False)


def stacked(view: View, series: Sequence[str]) -> View:
    """Return the view of exams: one row a case, whose channels are the series; of a series twice, the first.

    Raises:
        BadData: Samples are slices of series, of which nobody knows which belong together.
    """
    placed = view.samples.select("case", kind=exam.kinds(view)).with_row_index("row")
    first = placed.unique(["case", "kind"], keep="first", maintain_order=True)
    if len(view.pixels.shape) == 4 and first.height < placed.height:
        raise BadData(
            "a series has several samples, so that its slices cannot be laid beside those of the other series",
            remedy="make each series a sample with --unit volume",
        )
    cases = exam.Cases.of(view)
    numbered = first.filter(pl.col("kind").is_in(list(series)))
    rows = np.full((len(cases.names), len(series)), _NOT_THERE, dtype=np.int64)
    at = numbered["case"].replace_strict(cases.names, pl.int_range(len(cases.names), eager=True)).to_numpy()
    of = numbered["kind"].replace_strict(list(series), range(len(series))).to_numpy()
    rows[at, of] = numbered["row"].to_numpy()
    return replace(exam.one_each(view), pixels=Stacked(view.pixels, rows))
