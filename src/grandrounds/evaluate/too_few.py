"""What is left of a judgement of a handful of patients: its estimates, and the word that nothing else can be estimated.

Resampling three patients draws few different sets, and the interval holds the truth in a third of all studies instead
of 95 %; with five it is still below three quarters. A number that wrong helps nobody.
"""

from __future__ import annotations

import polars as pl

FEWEST = 6  # patients from which on intervals and comparisons are given


def why(n_patients: int) -> str:
    """Return the reason in words, as a note has it."""
    return f"No interval can be estimated from {n_patients} patient{'s' if n_patients > 1 else ''}"


def without_intervals(frame: pl.DataFrame, n_patients: int) -> pl.DataFrame:
    """Return scores, comparisons or curves with their numbers but no bound, no p, and no verdict but undecided.

    Args:
        frame: Any of these tables.
        n_patients: How many there are, for the column `note` where the table has one.
    """
    there = [name for name in ("low", "high", "p_adjusted", "error", "p_better", "p_equivalent", "p_worse")
             if name in frame.columns]  # fmt: skip
    frame = frame.with_columns(pl.lit(None, dtype=pl.Float64()).alias(name) for name in there)
    if "verdict" in frame.columns:
        frame = frame.with_columns(verdict=pl.lit("undecided"))
    if "note" in frame.columns:
        frame = frame.with_columns(
            note=pl.concat_str("note", pl.lit(why(n_patients)), separator=". ", ignore_nulls=True)
        )
    return frame
