"""A010: do clinical columns tell the label as well as the images do?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, not_applicable
from grandrounds.audits.standing import paired
from grandrounds.giveaway import giveaways

METADATA, PRIOR = "metadata", "prior"


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a column says the label, or no contender is shown to be better than `metadata`."""
    if exact := _exact(tables):
        return Finding(
            "finding",
            "A column tells the label of every image exactly: is it the label in other words? Whoever reads it need "
            "not look at the image.",
            tuple(f"column {name!r}" for name in exact),
        )
    return _beside_images(tables)


def _beside_images(tables: AuditTables) -> Finding:
    """Return what `metadata` learns from the columns beside what the best contender sees."""
    stand = paired(tables)
    if stand is None:
        return not_applicable("there are no scores with comparisons")
    absent = [f"`{floor}`" for floor in (METADATA, PRIOR) if floor not in stand.estimates]
    if absent:
        return not_applicable(f"{' and '.join(absent)} took no part, with which contenders are compared for this")
    if not stand.contenders:
        return not_applicable("nothing but floors took part")
    best, told = stand.contenders[0], f"{stand.metric.label} {stand.estimates[METADATA]:.3f}"
    if stand.verdict(METADATA, PRIOR) != "better":
        return Finding(
            "passed",
            f"`{METADATA}` is not shown to learn anything from the clinical columns ({told}). It adds them up; what "
            "single columns tell shows `grandrounds inspect`.",
        )
    if stand.verdict(best, METADATA) == "better":
        return Finding("passed", f"The clinical columns tell something ({told}), but `{best}` tells more.")
    return Finding(
        "finding",
        f"The clinical columns alone tell the label ({told}), and `{best}`, the best that looks at the images, is not "
        "shown to be better: a column may give the label away, or the images may add nothing to it.",
        _columns(tables.trials),
    )


def _exact(tables: AuditTables) -> tuple[str, ...]:
    """Return the clinical columns each of whose values has one label."""
    if tables.samples is None or tables.labels is None:
        return ()
    rows = tables.samples.join(tables.labels.select("case", "label"), on="case", how="left")
    return tuple(giveaways(rows))[:MOST_ROWS]


def _columns(trials: pl.DataFrame | None) -> tuple[str, ...]:
    """Return what the trials of `metadata` said of the columns that they read."""
    if trials is None:
        return ()
    return tuple(trials.filter(family=METADATA)["note"].drop_nulls().unique().sort().head(3))
