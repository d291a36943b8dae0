"""Clinical columns of the samples table as numbers; what they need is learned from training rows alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.shapes import Features
from grandrounds.specs import Spec
from grandrounds.tables import SAMPLES

_MAX_CATEGORIES = 20  # a column with more is a name or a free text
_MIN_ROWS = 2  # a category seen once would be a name


class Column(Spec):
    """One clinical column and what training rows taught about it.

    Args:
        name: Column of the samples table.
        kind: Number or category.
        mean: Mean of the numbers.
        sd: Their standard deviation.
        missing: Whether training rows lacked it, so that lacking it is a feature.
        categories: The categories seen; any other counts as none of them.
    """

    name: str
    kind: Literal["number", "category"]
    mean: float = 0.0
    sd: float = 1.0
    missing: bool = False
    categories: tuple[str, ...] = ()


def learn_columns(samples: pl.DataFrame) -> tuple[Column, ...]:
    """Return the clinical columns that these rows can teach: all beyond our own schema that vary.

    Our own columns (identities, sizes, hashes, pixel statistics) are left out; so are names, free texts and dates.
    """
    found = [_learn(samples[name]) for name in samples.columns if name not in SAMPLES.columns]
    return tuple(column for column in found if column is not None)


def encode(samples: pl.DataFrame, columns: tuple[Column, ...]) -> Features:
    """Return the columns as features (N, any): standardised numbers, one column per category, missing indicators."""
    blocks = [block for column in columns for block in _encode(samples, column)]
    return np.stack(blocks, axis=1).astype(np.float32)


def _learn(values: pl.Series) -> Column | None:
    numbers = _as_numbers(values)
    if numbers is not None:
        known = numbers.drop_nulls().to_numpy()
        if known.std() == 0:
            return None
        missing = len(known) < len(numbers)
        return Column(name=values.name, kind="number", mean=known.mean(), sd=known.std(), missing=missing)
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return None
    missing = values.null_count() > 0
    counts = values.drop_nulls().cast(pl.String).value_counts(name="n_rows").filter(pl.col("n_rows") >= _MIN_ROWS)
    if not 2 <= counts.height + missing <= _MAX_CATEGORIES:
        return None
    categories = tuple(sorted(counts[values.name].to_list()))
    return Column(name=values.name, kind="category", missing=missing, categories=categories)


def _encode(samples: pl.DataFrame, column: Column) -> list[NDArray[np.float64]]:
    absent = pl.Series(column.name, [None] * samples.height, dtype=pl.String)
    values = samples.get_column(column.name, default=absent)
    if column.kind == "number":
        values = _finite(values.cast(pl.Float64, strict=False))
        features = [((values - column.mean) / column.sd).fill_null(0.0)]
    else:
        text = values.cast(pl.String)
        features = [(text == one).fill_null(value=False) for one in column.categories]
    if column.missing:
        features.append(values.is_null())
    return [feature.to_numpy().astype(np.float64) for feature in features]


def _as_numbers(values: pl.Series) -> pl.Series | None:
    # Text tables come in as text; a column is a number where each of its values reads as one.
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Boolean)):
        return None
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() > values.null_count():
        return None
    numbers = _finite(numbers)
    return None if numbers.null_count() == len(numbers) else numbers


def _finite(numbers: pl.Series) -> pl.Series:
    return numbers.set(~numbers.is_finite(), None)
