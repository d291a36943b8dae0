"""What a bundle answers of cases or patients: each member by its own rule and calibrators, and the mean, which ships.

Members predict samples; their predictions stand in a table `predictions` whose `fold` is the member's number.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from grandrounds import tables
from grandrounds.evaluate import levels
from grandrounds.evaluate.aggregation import Rule
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.crossfit import applied
from grandrounds.serve.bundle import Bundle
from grandrounds.shapes import Probs
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


def of_member(rows: pl.DataFrame, bundle: Bundle, probs: Probs, member: int) -> pl.DataFrame:
    """Return what a member states of samples as rows of a table `predictions`.

    Args:
        rows: What is known of the samples, by columns of that table.
        bundle: What ships.
        probs: (N, K).
        member: Its number.
    """
    family, task = bundle.family, bundle.task
    names = {"family": family, "recipe": family, "trial": f"{family} {member}", "task": task.name}
    return rows.with_columns(
        *(pl.lit(value).alias(name) for name, value in names.items()),
        pl.lit(member).alias("fold"),
        *(pl.Series(PROB + name, probs[:, at]) for at, name in enumerate(task.classes)),
    )


def unlabelled(bundle: Bundle, rows: pl.DataFrame, members: Sequence[Probs]) -> pl.DataFrame:
    """Return what ships answers of each case, or patient, of images whose labels nobody knows.

    Args:
        bundle: What ships.
        rows: Columns `case, patient` of each image.
        members: (N, K) of each member.

    Returns:
        One row each: its name under the name of its level, and the columns of probabilities.
    """
    # No rule of combining looks at labels; they are the same for all, so that no case contradicts itself.
    known = rows.select("case", "patient").with_columns(
        sample=pl.int_range(pl.len()).cast(pl.String), label=pl.lit(bundle.task.classes[0]), unit=pl.lit("sample"),
        role=pl.lit("external"), repeat=0, seed=0,
    )  # fmt: skip
    each = [of_member(known, bundle, probs, member) for member, probs in enumerate(members)]
    told = answers(bundle, tables.check(pl.concat(each), tables.PREDICTIONS))
    told = with_shipped(bundle, told, recalibrated=True)
    ships = told.filter(family=told["family"][-1])
    return ships.select(pl.col("sample").alias(bundle.unit), pl.selectors.starts_with(PROB))


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
