"""What a bundle answers of cases or patients: each member by its own rule and calibrators, and the mean, which ships.

Members predict samples; their predictions stand in a table `predictions` whose `fold` is the member's number.
"""

from __future__ import annotations

import polars as pl

from grandrounds import tables
from grandrounds.evaluate import levels
from grandrounds.evaluate.aggregation import Rule
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.crossfit import applied
from grandrounds.serve.bundle import Bundle
from grandrounds.tables import PROB


def answers(bundle: Bundle, members: pl.DataFrame) -> pl.DataFrame:
    """Return what each member answers of what the study compared, as it states it.

    Args:
        bundle: What ships.
        members: Predictions of samples.

    Raises:
        BadData: The samples of a case, or of a patient, have several classes that nobody can put in order.
    """
    rows = checked(members, bundle.task, tables.ROLES)
    levels.settled(bundle.unit, rows, bundle.task)
    return levels.lift(rows, bundle.task, bundle.unit, _rules(bundle))


def with_shipped(bundle: Bundle, told: pl.DataFrame, *, recalibrated: bool) -> pl.DataFrame:
    """Return the rows of the members, and below them what ships: their mean.

    Args:
        bundle: What ships.
        told: What each member says.
        recalibrated: Whether they are answers of what the study compared, for which the calibrators were made.
    """
    n, mended = len(bundle.members), recalibrated and bool(bundle.calibrators)
    if n < 2 and not mended:
        return told
    words = [bundle.family, *([f"mean of {n}"] if n > 1 else []), *(["recalibrated"] if mended else [])]
    parts = told.partition_by("fold", as_dict=True).items()
    each = [_recalibrated(bundle, int(fold), part) if mended else part for (fold,), part in parts]
    probs = pl.selectors.starts_with(PROB)
    mean = pl.concat(each).group_by("sample", maintain_order=True).agg((~probs).first(), probs.mean())
    named = {name: pl.lit(", ".join(words)) for name in ("family", "recipe", "trial")}
    return pl.concat([told, mean.with_columns(**named, fold=pl.lit(0, pl.Int64())).select(told.columns)])


def in_words(bundle: Bundle) -> tuple[str, ...]:
    """Return how images become what was compared, and how that is recalibrated."""
    said = []
    if bundle.unit != "sample":
        rule = levels.in_words(levels.record(_rules(bundle))).get(bundle.family, str(Rule()))
        how = f"each model makes one answer of a {bundle.unit}'s images, by the rule {rule}."
        said.append(f"As in the study, {bundle.unit}s are compared; {how}")
    if bundle.calibrators:
        said.append(f"What ships is recalibrated ({bundle.calibration}); its single models are shown as they state it.")
    return tuple(said)


def _rules(bundle: Bundle) -> dict[levels.Key, Rule]:
    return {(bundle.family, 0, fold, 0): rule for fold, rule in enumerate(bundle.rules)}


def _recalibrated(bundle: Bundle, member: int, rows: pl.DataFrame) -> pl.DataFrame:
    probs = applied(bundle.calibrators[member], tables.probs_of(rows))
    columns = [name for name in rows.columns if name.startswith(PROB)]
    return rows.with_columns(pl.Series(name, probs[:, at]) for at, name in enumerate(columns))
