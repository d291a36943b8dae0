"""The section on human readers: their ways of reading against one another and against stand-alone models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from grandrounds.report import plots
from grandrounds.report.blocks import Block, Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.palette import Look
from grandrounds.report.ranked import Ranked, Score
from grandrounds.report.rounding import amount, count, interval, opened, p_value, share, signed
from grandrounds.report.svg import Axis

_BOTH = "readers and cases"
_LEVEL = 0.05
_PLAIN = Look("g0", "diamond", None)  # a mean over families has no look of its own
_HOW = (
    "Readers and cases are both taken for a sample of others like them, after Obuchowski and Rockette with the degrees "
    "of freedom of Hillis; the method of Dorfman, Berbaum and Metz gives the same from jackknifed areas. Each "
    "first line holds for other readers and cases, each second one for other cases but for these readers alone."
)
_NEGATIVE = (
    "An estimate of a variance below 0 means that readers differed no more than their errors on the same cases explain."
)


def readers(ranked: Ranked) -> Section | None:
    """Return the means of each way of reading, and the differences; None without human readers."""
    frame = ranked.content.readers
    if frame.is_empty():
        return None
    means, differences = frame.filter(pl.col("against").is_null()), frame.filter(pl.col("against").is_not_null())
    blocks: list[Block] = [Prose(tuple(_sentences(ranked, differences)))] if not differences.is_empty() else []
    blocks.append(_table("Mean over readers of each way of reading.", "Reads", means, ranked, zero=False))
    if not differences.is_empty():
        blocks.append(_table("Differences between ways of reading.", "Difference", differences, ranked, zero=True))
    parts = differences.filter(pl.col("variance").is_not_null(), pl.col("holds_for") == _BOTH)
    if not parts.is_empty():
        blocks.append(Folded("Variances and covariances, for planning another study", (_components(parts),)))
    blocks.append(Prose((_HOW,)))
    return Section("readers", "Readers and models", tuple(blocks))


def _sentences(ranked: Ranked, differences: pl.DataFrame) -> Iterator[str]:
    """Yield what each difference comes to for other readers and cases."""
    for row in differences.filter(pl.col("holds_for") == _BOTH).iter_rows(named=True):
        n = f"{count(row['n_readers'])} readers"
        words = ranked.words(row["metric"] or ranked.content.primary)
        if row["p_adjusted"] is None:
            why = row["note"] or "there is no spread to judge by"
            yield f"`{row['arm']}` and `{row['against']}` cannot be compared for other readers: {why}."
        elif row["p_adjusted"] > _LEVEL:
            size = f"{signed(row['estimate'])} ({interval(row['low'], row['high'])})"
            yield f"`{row['arm']}` and `{row['against']}` cannot be told apart over {n}: {size} in {words}."
        else:
            first = (row["estimate"] or 0.0) > 0
            best, other = (row["arm"], row["against"]) if first else (row["against"], row["arm"])
            ends = (row["low"], row["high"]) if first else (-row["high"], -row["low"])
            yield (
                f"`{best}` is better than `{other}` by {share(abs(row['estimate']))} ({interval(*ends)}) in {words}, "
                f"over {n} and for others like them."
            )


def _table(caption: str, head: str, frame: pl.DataFrame, ranked: Ranked, *, zero: bool) -> Table:
    axis = plots.strip_axis([*(end for row in frame.select("estimate", "low", "high").iter_rows() for end in row)])
    columns = (
        Column(head, numeric=False),
        Column(ranked.words("auc"), "95 % interval"),
        Column(plots.strip_scale(axis), numeric=False),
        Column("df"),
        *((Column("p", "adjusted"),) if zero else ()),
        Column("Readers"),
        Column("Patients" if ranked.content.patient_known else "Images"),
    )
    rows = tuple(_row(row, axis, ranked, zero=zero) for row in frame.iter_rows(named=True))
    notes = tuple(f"{opened(note)}." for note in frame["note"].drop_nulls().unique(maintain_order=True))
    return Table(caption, columns, rows, notes)


def _row(row: dict[str, Any], axis: Axis, ranked: Ranked, *, zero: bool) -> tuple[Cell, ...]:
    score = Score(row["estimate"], row["low"], row["high"], row["note"])
    name = f"{row['arm']} minus {row['against']}" if zero else row["arm"]
    both = row["holds_for"] == _BOTH
    n = row["n_patients"] if ranked.content.patient_known else row["n_samples"]
    return (
        Cell(name, "other readers too") if both else Cell("", "these readers"),
        Cell((signed if zero else share)(row["estimate"]), interval(row["low"], row["high"])),
        Cell(plots.strip(score, axis, _PLAIN, zero=zero, margin=ranked.content.margin if zero else 0.0)),
        Cell("normal" if row["df"] is None and row["low"] is not None else amount(row["df"])),
        *((Cell(p_value(row["p_adjusted"])),) if zero else ()),
        Cell(count(row["n_readers"])),
        Cell(count(n)),
    )


def _components(frame: pl.DataFrame) -> Table:
    named = {
        "var_reader": "Readers", "var_interaction": "Reader by way of reading", "variance": "Error",
        "cov1": "Covariance, same reader", "cov2": "Covariance, same way", "cov3": "Covariance, neither",
    }  # fmt: skip
    columns = (Column("Pair", numeric=False), *(Column(title) for title in named.values()))
    rows = tuple(
        (Cell(f"{row['arm']}, {row['against']}"), *(Cell(_small(row[name])) for name in named))
        for row in frame.iter_rows(named=True)
    )
    negative = any(
        (row[name] or 0.0) < 0 for row in frame.iter_rows(named=True) for name in ("var_reader", "var_interaction")
    )
    return Table("Estimates of the model's variances and covariances.", columns, rows, (_NEGATIVE,) if negative else ())


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.6f}".replace("-", "\N{MINUS SIGN}")
