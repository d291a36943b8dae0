"""The flow diagram: from everything that was found, past what was left out and why, to what is analysed.

Reference: STARD 2015, Bossuyt et al., BMJ 2015; 351:h5527, item 19.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from grandrounds.report.blocks import Flow, FlowBox, Prose, Section
from grandrounds.report.rounding import count, opened
from grandrounds.wording import many

FOUND, ANALYSED = "found", "analysed"
MOST_REASONS = 6
_UNITS = (("n_images", "image"), ("n_cases", "case"), ("n_patients", "patient"))


def flow_section(flow: pl.DataFrame | None, *, patient_known: bool = True) -> Section | None:
    """Return the flow diagram as a section; None where nobody counted, or nothing stood in between.

    Args:
        flow: Columns `stage, reason, n_images`, and `n_cases, n_patients` where they are known.
        patient_known: Whether patients may be counted.
    """
    if flow is None or not set(flow["stage"]) - {FOUND, ANALYSED}:
        return None
    known = flow if patient_known else flow.drop("n_patients", strict=False)
    return Section("flow", "From found to analysed", (_INTRO, diagram(known)))


_INTRO = Prose(("The boxes at the side left the study; the numbers of images add up to those that were found.",))


def diagram(flow: pl.DataFrame) -> Flow:
    """Return the diagram of a flow.

    Args:
        flow: Columns `stage, reason, n_images`, and `n_cases, n_patients` where they are known.
    """
    found = flow.filter(pl.col("stage") == FOUND).row(0, named=True)
    classes = list(flow.filter(pl.col("stage") == ANALYSED).iter_rows(named=True))
    left_out = flow.filter(~pl.col("stage").is_in([FOUND, ANALYSED])).partition_by("stage", maintain_order=True)
    whole = {name: _sum(name, classes) for name, _ in _UNITS if name != "n_patients"}
    return Flow(
        found=FlowBox(opened(FOUND), _counts(found)),
        left_out=tuple(_way_out(part) for part in left_out),
        analysed=FlowBox(opened(ANALYSED), _counts(whole)),
        classes=tuple(FlowBox(str(row["reason"]), _counts(row)) for row in classes),
    )


def _way_out(part: pl.DataFrame) -> FlowBox:
    """Return one box at the side; rare reasons are summed up."""
    rows = sorted(part.iter_rows(named=True), key=lambda row: -row["n_images"])
    lines = [f"{row['reason']}: {count(row['n_images'])}" for row in rows[:MOST_REASONS] if row["reason"]]
    rest = rows[MOST_REASONS:]
    if rest:
        n_rest = sum(row["n_images"] for row in rest)
        lines.append(f"{count(len(rest))} more reasons: {count(n_rest)}")
    return FlowBox(opened(rows[0]["stage"]), many(sum(row["n_images"] for row in rows), "image"), tuple(lines))


def _sum(name: str, rows: list[dict[str, Any]]) -> int | None:
    """Return the sum over classes; None where one of them is not known."""
    values = [row.get(name) for row in rows]
    return None if None in values else sum(value for value in values if value is not None)


def _counts(row: Mapping[str, Any]) -> str:
    return ", ".join(many(row[name], unit) for name, unit in _UNITS if row.get(name) is not None)
