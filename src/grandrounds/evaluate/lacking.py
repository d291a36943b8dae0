"""Which series each case lacks: facts by which the judged cases can be sliced."""

from __future__ import annotations

import polars as pl

LACKS = "lacks "  # begins the name of a column of facts, before the series
ANY = "any series"


def with_lacking(samples: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the samples with a column for each series that some case lacks, "yes" or "no", and the columns' names.

    Where cases lack several series, a column says whether they lack any. No column where every case has all.

    >>> exams = pl.DataFrame({"case": ["1", "1", "2"], "series_kind": ["T1", "T2", "T1"]})
    >>> with_lacking(exams)[0].rows()
    [('1', 'T1', 'no'), ('1', 'T2', 'no'), ('2', 'T1', 'yes')]
    """
    if "series_kind" not in samples.columns:
        return samples, ()
    found = samples
    for kind in samples["series_kind"].drop_nulls().unique().sort():
        has = (pl.col("series_kind") == kind).fill_null(value=False).any().over("case")
        found = found.with_columns(_said(~has).alias(f"{LACKS}{kind}"))
    lacks = [name for name in found.columns if name not in samples.columns]
    whole = [name for name in lacks if "yes" not in found[name]]
    found, lacks = found.drop(whole), [name for name in lacks if name not in whole]
    if len(lacks) > 1:
        found = found.with_columns(_said(pl.any_horizontal(pl.col(lacks) == "yes")).alias(LACKS + ANY))
        lacks.append(LACKS + ANY)
    return found, tuple(lacks)


def _said(is_lacking: pl.Expr) -> pl.Expr:
    return pl.when(is_lacking).then(pl.lit("yes")).otherwise(pl.lit("no"))
