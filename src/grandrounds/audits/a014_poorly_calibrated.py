"""A014: are the probabilities of the best family shown to be wrong on the test role?

Not being able to show that they are wrong is no proof that they are right: see the calibration curve.

Reference: Van Calster et al., Journal of Clinical Epidemiology 74:167 (2016); the bounds are those of
`evaluate.shipping`.
"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.protocol import AuditTables, Finding, not_applicable
from grandrounds.audits.standing import named, standing
from grandrounds.evaluate.crossfit import NONE
from grandrounds.evaluate.shipping import calibration
from grandrounds.tables import DECISIONS, empty

_METRICS = ("calibration_slope", "calibration_intercept")


def audit(tables: AuditTables) -> Finding:
    """Return a finding where the best contender is badly calibrated, a tip where another one is."""
    stand = standing(tables)
    if stand is None or tables.task is None or not stand.contenders:
        return not_applicable("no family other than a floor has scores")
    known = calibration(stand.scores, tables.task)
    best, bad = stand.contenders[0], [one for one in stand.contenders if not known.get(one, True)]
    if best not in known:
        return not_applicable(f"the calibration of `{best}` cannot be estimated")
    if not bad:
        return Finding("passed", f"The test role does not show `{best}` to be badly calibrated.")
    rows = tuple(_lines(stand.scores, bad))
    if best in bad:
        return Finding(
            "finding",
            f"The probabilities of `{best}`, the best family, are shown to be off as it states them: "
            f"{_remedy(tables.decisions, best)}",
            rows,
        )
    return Finding("tip", f"The probabilities of {named(bad)} are shown to be off.", rows)


def _remedy(decisions: pl.DataFrame | None, family: str) -> str:
    """Return what to do: read the recalibrated ones where other patients than those of test have shown how."""
    rules = empty(DECISIONS) if decisions is None else decisions.filter(family=family)
    told = rules.filter(pl.col("threshold").is_not_null(), pl.col("calibration") != NONE)
    if told.is_empty():
        return "recalibrate it before anybody reads them as risks."
    return f"read them recalibrated ({told['calibration'][0]}), as the part on decisions shows them."


def _lines(scores: pl.DataFrame, families: list[str]) -> list[str]:
    rows = scores.filter(pl.col("family").is_in(families), pl.col("metric").is_in(_METRICS)).drop_nulls(["low", "high"])
    return [
        f"{row['family']}, {row['metric'].replace('_', ' ')} of {row['label'] or 'all classes'}: {row['estimate']:.2f} "
        f"(95 % interval {row['low']:.2f} to {row['high']:.2f})"
        for row in rows.iter_rows(named=True)
    ][:20]
