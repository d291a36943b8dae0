"""A007: had every family its chance: the same share of time, no trial cut short, none failed?"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable

TOO_MUCH = 1.5  # times the share; clocks of a busy machine are not exact


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a contender overran its share, or a trial of it was cut short or failed."""
    if tables.trials is None or tables.trials.is_empty():
        return not_applicable("there is no trials table")
    # Floors cost next to nothing and have no share.
    trials = tables.trials.filter(~pl.col("family").is_in(tables.floors), pl.col("status") != "not applicable")
    if trials.is_empty():
        return not_applicable("no trial is of a contender")
    names = trials["family"].unique(maintain_order=True).to_list()
    rows = [words for name in names for words in _faults(trials.filter(family=name), name, tables.share_s)]
    timed = "" if tables.share_s is not None else " No budget was declared, so the seconds were not compared."
    if not rows:
        share = "" if tables.share_s is None else f" within {TOO_MUCH:g} times their share"
        said = f"All {counted(trials.height, 'trial')} of the contenders ended by themselves{share}.{timed}"
        return Finding("passed", said)
    return Finding(
        "finding",
        f"The contenders did not have equal chances ({counted(len(rows), 'inequality')}): a difference between them "
        f"may be one of effort.{timed}",
        tuple(rows[:MOST_ROWS]),
    )


def _faults(trials: pl.DataFrame, family: str, share_s: float | None) -> Iterator[str]:
    for status, words in (("truncated", "stopped by the clock"), ("failed", "failed")):
        n = trials.filter(status=status).height
        if n:
            yield f"{family}: {n} of {counted(trials.height, 'trial')} {words}"
    mean_s = trials["fit_s"].mean()
    if share_s is not None and isinstance(mean_s, float) and mean_s > TOO_MUCH * share_s:
        times = f"{mean_s / share_s:.1f} times"
        yield f"{family}: {mean_s:,.0f} s of training a trial, {times} its share of {share_s:,.0f} s"
