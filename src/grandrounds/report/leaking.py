"""What a leak makes of a report: a mark on every page, and a sentence before the answer that it spoils."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from grandrounds.report.content import ReportContent
from grandrounds.report.rounding import listed

TWO_ROLES = "LEAKY: the same patients stand in two roles"
_OVERLAP = "A001"


def marked(content: ReportContent) -> ReportContent:
    """Return the same content, marked where the audits found patients in two roles."""
    found = content.table("findings").filter(audit=_OVERLAP, outcome="finding")
    if found.is_empty():
        return content
    return replace(
        content,
        watermarks=tuple(dict.fromkeys((*content.watermarks, TWO_ROLES))),
        verdict_sentences=(_said(found), *content.verdict_sentences),
    )


def _said(found: pl.DataFrame) -> str:
    """Return the finding as it stands; of several tasks which they are, since each has its own count."""
    if found.height > 1:
        return f"In {listed(found['task'].to_list())} patients stand in two roles: the scores may be too good."
    (task, sentence), *_ = found.select("task", "sentence").iter_rows()
    return sentence if task is None else f"In the task {task} {sentence}"
