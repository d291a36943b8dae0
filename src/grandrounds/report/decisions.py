"""The section on decisions: what thresholds, recalibration, sets of classes and abstaining give on the test role."""

from __future__ import annotations

import polars as pl

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report.blocks import Block, Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import interval, opened, share

_HOW = (
    "Every rule was set on valid and applied to the test role as it stood. Each trial has its own threshold; shown is "
    "their mean."
)


def decisions(ranked: Ranked) -> Section | None:
    """Return the rules of the family that ships (else of the leader), and those of the others folded."""
    frame = ranked.content.decisions
    present = [one for one in ranked.families if one in set(frame["family"])]
    if not present:
        return None
    first = ranked.content.ships if ranked.content.ships in present else present[0]
    others = [one for one in present if one != first]
    blocks: list[Block] = [Prose((_HOW,)), _table(ranked, first)]
    if others:
        blocks.append(Folded("The other families", tuple(_table(ranked, one) for one in others)))
    return Section("decisions", "What would be decided?", tuple(blocks))


def _table(ranked: Ranked, family: str) -> Table:
    """Return one row a rule and metric of a family."""
    rows, before = [], ""
    part = ranked.content.decisions.filter(pl.col("family") == family)
    for row in part.iter_rows(named=True):
        rule = row["rule"] + (f", {row['label']}" if row["label"] else "")
        calibration = "" if row["calibration"] in (None, "none") else f"recalibrated: {row['calibration']}"
        head = Cell(rule, calibration) if rule + calibration != before else Cell("")
        before = rule + calibration
        rows.append((
            head,
            Cell(share(row["threshold"]) if row["threshold"] is not None else ""),
            Cell(_words(row["metric"])),
            Cell(share(row["estimate"]), interval(row["low"], row["high"])),
            Cell(row["note"] or ""),
        ))  # fmt: skip
    columns = (
        Column("Rule", numeric=False), Column("Threshold"), Column("What", numeric=False),
        Column("On test", "95 % interval"), Column("Note", numeric=False),
    )  # fmt: skip
    return Table(f"{named(ranked, family).text}: rules set on valid, and what they give.", columns, tuple(rows))


def _words(metric: str) -> str:
    return opened(METRICS.get(metric).label) if metric in METRICS.names() else opened(metric.replace("_", " "))
