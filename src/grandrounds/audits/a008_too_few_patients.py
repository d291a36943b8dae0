"""A008: are the intervals narrow enough for the margin that was declared?

An interval of a difference that is wider than the margin on both sides can never show that two families are
equivalent. Its half-width shrinks with the square root of the number of patients, so n · (half-width / margin)² would
be about enough.

Assumes: more patients like these; the spread between patients stays what it is.

Reference: Hoenig & Heisey, The American Statistician 55:19 (2001): intervals, not power after the fact.
"""

from __future__ import annotations

import math

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.audits.standing import paired


def audit(tables: AuditTables) -> Finding:
    """Return a finding where pairs are undecided because the interval is wider than the margin."""
    stand = paired(tables)
    if stand is None:
        return not_applicable("there are no scores with comparisons")
    if not tables.margin:
        return not_applicable("no margin was declared")
    contenders, margin = set(stand.contenders), tables.margin
    halves = {
        f"{a} and {b}": (pair.high - pair.low) / 2
        for (a, b), pair in stand.pairs.items()
        if a < b and {a, b} <= contenders and pair.verdict == "undecided"
        and pair.low is not None and pair.high is not None
    }  # fmt: skip
    wide = {name: half for name, half in halves.items() if half > margin}
    n_pairs = len(contenders) * (len(contenders) - 1) // 2
    if not n_pairs:
        return not_applicable("there are no two contenders")
    if not wide:
        return Finding("passed", f"No pair of {counted(n_pairs, 'pair')} is undecided for want of patients.")
    n, noun = _size(stand.scores, known=tables.patient_known is not False)
    rows = [
        f"{name}: ±{half:.3f}, would need about {_rounded(n * (half / margin) ** 2)} {noun} to be within ±{margin:g}"
        for name, half in sorted(wide.items(), key=lambda one: one[1])
    ]
    most = _rounded(n * (max(wide.values()) / margin) ** 2)
    return Finding(
        "finding",
        f"{len(wide):,} of {counted(n_pairs, 'pair')} of contenders cannot be told apart, and with {n:,} {noun} could "
        f"not have been shown to be equal within ±{margin:g}: about {most} {noun} would be needed for the widest.",
        tuple(rows[:MOST_ROWS]),
    )


def _size(scores: pl.DataFrame, *, known: bool) -> tuple[int, str]:
    """Return on how many patients the scores rest, or images where patients are unknown."""
    patients, images = scores["n_patients"].max(), scores["n_samples"].max()
    if known and isinstance(patients, int):
        return patients, "patients"
    return (images if isinstance(images, int) else 0), "images"


def _rounded(n: float) -> str:
    """Return a number of patients, rounded up to two digits that count.

    >>> _rounded(1234.5)
    '1,300'
    """
    step = 10 ** max(math.floor(math.log10(max(n, 1))) - 1, 0)
    return f"{math.ceil(n / step) * step:,}"
