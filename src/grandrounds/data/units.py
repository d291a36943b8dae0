"""What one sample is in a source of series: a slice, or the whole."""

from __future__ import annotations

import polars as pl

from grandrounds.data.draft import with_columns

UNITS = {
    "slice": "A sample is a slice; it has the label of its exam, which is its case.",
    "volume": "A sample is a whole series.",
}


def by_unit(slices: pl.DataFrame, unit: str) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return the draft's rows, and the files of samples that are made of several slices.

    Args:
        slices: One row per slice: `sample`, the name of its series; `series, order, path, member, frame`; and whatever
            else is known of it.
        unit: `"slice"` or `"volume"`.
    """
    if unit == "slice":
        name = pl.format("{}-{}", "sample", pl.col("order").cast(pl.String()).str.zfill(4))
        return with_columns(slices.with_columns(sample=name)), None
    several = slices.filter(pl.len().over("sample") > 1)
    files = several.select("sample", "series", "order", "path", "member", "frame")
    return with_columns(slices.unique("sample", keep="first", maintain_order=True)), files
