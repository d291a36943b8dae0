"""The section on the size of the training set: whether more patients would help."""

from __future__ import annotations

import polars as pl

from grandrounds.evaluate.catalogue import LEARNING
from grandrounds.report import plots
from grandrounds.report.blocks import Cell, Column, Panels, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, opened, share

_HOW = (
    "Each family trained on nested parts of the patients, with as many passes over them, and tested on the same cases. "
    "A curve that still rises says that more patients would help. Bands are 95 % intervals over test patients; another "
    "draw of as few training patients would give another point."
)


def more_patients(ranked: Ranked) -> Section | None:
    """Return the curve of every family against its training patients, as a drawing and as a table."""
    frame = ranked.content.curves.filter(pl.col("curve") == LEARNING)
    if frame.is_empty():
        return None
    sizes = sorted(frame["x"].unique().to_list())
    curves, rows = [], []
    for family in [one for one in ranked.families if one in set(frame["family"])]:
        points = frame.filter(pl.col("family") == family).sort("x").select("x", "y", "low", "high").rows()
        curves.append(plots.Curve(family, ranked.looks[family], points))
        own = {x: Cell(share(y), interval(low, high)) for x, y, low, high in points}
        rows.append((named(ranked, family), *(own.get(x, Cell(share(None))) for x in sizes)))
    words = opened(ranked.words(ranked.content.primary))
    legend = tuple((curve.look.key(), curve.name) for curve in curves)
    heads = (Column(f"{count(round(x, 1))} patients", "95 % interval") for x in sizes)
    table = Table(f"{words} by patients in training.", (Column("Family", numeric=False), *heads), tuple(rows))
    drawn = Panels(_HOW, (plots.by_patients(curves, words),), legend, wide=True)
    return Section("more-patients", "Would more patients help?", (drawn, table))
