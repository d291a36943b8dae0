"""The series of each exam as channels of one image, read from where they lie when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.families import exam
from grandrounds.families.protocol import View
from grandrounds.features.clinical import Column, encode
from grandrounds.shapes import Features, Images, Mask
from grandrounds.tables import OF_COLUMNS

_NOT_THERE = -1


@dataclass(frozen=True, slots=True)
class Stacked:
    """Exams (N, S·(C + 1) + M, …): the series one after another, then of each whether it is there, as 1 or −1.

    A series that is not there is 0 everywhere.

    Args:
        series: The images of all series, (M, C, …).
        rows: (N, S) which of them each exam has, −1 for none.
        columns: (N, M) numbers of clinical columns, which fill a channel each behind all others.
    """

    series: Images
    rows: NDArray[np.int64]
    columns: Features

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, S·(C + 1) + M, …)."""
        n_exams, n_series = self.rows.shape
        n_channels = n_series * (self.series.shape[1] + 1) + self.columns.shape[1]
        return (n_exams, n_channels, *self.series.shape[2:])

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)

    def __getitem__(self, which: slice | NDArray[np.integer] | Mask, /) -> Stacked:
        """Return some of the exams; nothing is read."""
        return replace(self, rows=self.rows[which], columns=self.columns[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401, FBT001  (numpy's)
        """Return all of them, in memory."""
        n_exams, n_series = self.rows.shape
        n_channels = self.series.shape[1]
        images = np.zeros((n_exams, n_series, n_channels, *self.series.shape[2:]), dtype=np.float32)
        there = self.rows != _NOT_THERE
        images[there] = np.asarray(self.series[self.rows[there]])
        numbers = np.concatenate([np.where(there, 1, -1), self.columns], axis=1, dtype=np.float32)  # (N, S + M)
        space = images.shape[3:]
        filled = np.broadcast_to(numbers.reshape(*numbers.shape, *(1,) * len(space)), (*numbers.shape, *space))
        stacked = np.concatenate([images.reshape(n_exams, n_series * n_channels, *space), filled], axis=1)
        return stacked if dtype is None else stacked.astype(dtype, copy=False)


def stacked(
    view: View, series: Sequence[str], columns: tuple[Column, ...] = (), dealt: tuple[str, int] | None = None
) -> View:
    """Return the view of exams: one row a case, whose channels are the series; of a series twice, the first.

    Args:
        view: The samples.
        series: Which series, in order.
        columns: Clinical columns that come along, as training has learned them.
        dealt: A series, or `"columns"`, that is dealt out anew among the exams, and a seed for it; None for none.

    Raises:
        BadData: Samples are slices of series, of which nobody knows which belong together.
    """
    placed = view.samples.select("case", kind=exam.kinds(view.samples)).with_row_index("row")
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
    one_each = exam.one_each(view)
    numbers = encode(one_each.samples, columns) if columns else np.zeros((len(rows), 0), dtype=np.float32)
    exams = Stacked(view.pixels, rows, numbers)
    if dealt is not None:
        exams = _dealt_out_anew(exams, series, *dealt)
    others = tuple(stacked(one, series, columns, dealt) for one in view.others)
    return replace(one_each, pixels=exams, others=others)


def _dealt_out_anew(exams: Stacked, series: Sequence[str], name: str, seed: int) -> Stacked:
    """Return the exams with a series, or the clinical columns, of other exams; what lacks the series goes round too."""
    order = seeds.generator(seed, "dealt out anew").permutation(len(exams))
    if name == OF_COLUMNS:
        return replace(exams, columns=exams.columns[order])
    rows, turn = exams.rows.copy(), list(series).index(name)
    rows[:, turn] = rows[order, turn]
    return replace(exams, rows=rows)
