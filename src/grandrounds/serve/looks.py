"""What is said of the images of a row: as columns, and of several images together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from grandrounds.serve.envelope import Look


def as_columns(looks: Sequence[Look]) -> pl.DataFrame:
    """Return what is said of each row, a column a field of `Look`."""
    return pl.DataFrame(looks, schema=dict.fromkeys(Look._fields, pl.String()), orient="row")


def looks_of(units: pl.Series, looks: Sequence[Look]) -> list[Look]:
    """Return one look for each unit, in the order in which they come: what is said of any of its images."""
    parts: dict[str, list[Look]] = {}
    for unit, look in zip(units, looks, strict=True):
        parts.setdefault(unit, []).append(look)
    return [Look(*(joined(said) for said in zip(*part, strict=True))) for part in parts.values()]


def joined(said: Iterable[str | None]) -> str | None:
    """Return what is said of several images, each sentence once; None where nothing is."""
    return "; ".join(dict.fromkeys(filter(None, said))) or None
