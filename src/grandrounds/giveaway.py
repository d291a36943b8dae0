"""Columns that say the label in other words."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from grandrounds.schemas import SAMPLES

_MOST = 4  # values for each class; more tell people or dates apart


def giveaways(rows: pl.DataFrame) -> Iterator[str]:
    """Yield the clinical columns of which each value occurs with one label alone.

    Args:
        rows: One row per image, columns of the table `samples` and `label`; images without a label do not count.
    """
    rows = rows.filter(pl.col("label").is_not_null())
    n_classes = rows["label"].n_unique()
    if n_classes < 2:
        return  # where there is nothing to tell, every column tells it
    for name in [name for name in rows.columns if name not in {*SAMPLES.columns, "label", "role"}]:
        told = rows.filter(pl.col(name).is_not_null())
        if told.height < rows.height / 2 or not n_classes <= told[name].n_unique() <= _MOST * n_classes:
            continue
        if told.group_by(name).agg(pl.col("label").n_unique())["label"].max() == 1:
            yield name
