"""One label out of those of several raters, by a rule that is stated, with how far the raters agreed."""

from __future__ import annotations

from typing import Literal, NamedTuple

import polars as pl

from grandrounds.errors import BadSpec
from grandrounds.wording import many

Rule = Literal["majority", "unanimous", "any"]
_WORDS = {
    "majority": "the label that most raters gave; a tie leaves it unknown",
    "unanimous": "the label that every rater gave; any dissent leaves it unknown",
    "any": "the positive class if any rater gave it",
}


class Consensus(NamedTuple):
    """One row per exam with the columns `exam, label` (null: unknown), and what to tell the reader."""

    labels: pl.DataFrame
    notes: tuple[str, ...]


def consensus(ratings: pl.DataFrame, rule: Rule, positive: str | None = None) -> Consensus:
    """Return the label of each exam.

    Args:
        ratings: Columns `exam, rater, label`; a null label is no rating. Without raters, one row per exam.
        rule: `"majority"`, `"unanimous"` or `"any"`.
        positive: The class that `"any"` speaks of.

    Raises:
        BadSpec: `"any"` needs two classes and a positive one among them.
    """
    given = ratings.filter(pl.col("label").is_not_null())
    classes = sorted(given["label"].unique())
    if rule == "any" and (len(classes) > 2 or positive not in classes):
        raise BadSpec("the rule 'any' needs two classes and the positive one", remedy="say which with --positive")
    votes = given.group_by("exam", "label").len().sort("exam", "len", "label", descending=[False, True, False])
    per_exam = votes.group_by("exam", maintain_order=True).agg(
        pl.col("label").first(),
        tie=(pl.col("len") == pl.col("len").max()).sum() > 1,
        dissent=pl.len() > 1,
        said=(pl.col("label") == positive).any() if positive is not None else pl.lit(value=False),
    )
    label: pl.Expr
    if rule == "majority":
        label = pl.when(~pl.col("tie")).then("label")
    elif rule == "unanimous":
        label = pl.when(~pl.col("dissent")).then("label")
    else:
        label = pl.when(pl.col("said")).then(pl.lit(positive)).otherwise("label")
    exams = ratings.select("exam").unique(maintain_order=True)
    labels = exams.join(per_exam.select("exam", label.alias("label")), on="exam", how="left", maintain_order="left")
    return Consensus(labels, tuple(_notes(given, labels, per_exam, rule)))


def _notes(given: pl.DataFrame, labels: pl.DataFrame, per_exam: pl.DataFrame, rule: Rule) -> list[str]:
    n_raters = given["rater"].n_unique()
    if n_raters < 2:
        return []
    n_rated = given.group_by("exam").len().filter(pl.col("len") > 1).height
    n_agreed = n_rated - int(per_exam["dissent"].sum())
    kappa = fleiss(given)
    agreement = "" if kappa is None else f", Fleiss' kappa {kappa:.2f}"
    n_open = labels["label"].null_count()
    return [
        f"{n_raters} raters: {_WORDS[rule]}.",
        f"Of {n_rated} exams that several raters read, all agreed on {n_agreed}{agreement}.",
        *([f"{many(n_open, 'exam', 'have')} no label after that."] if n_open else []),
    ]


def fleiss(given: pl.DataFrame) -> float | None:
    """Return Fleiss' kappa over the exams that as many raters read as any; None where it is undefined.

    Reference: Fleiss, Psychological Bulletin 76:378 (1971).

    Args:
        given: Columns `exam, rater, label`, no null.
    """
    table = given.pivot("label", index="exam", values="rater", aggregate_function="len").drop("exam").fill_null(0)
    counts = table.to_numpy()
    n_raters = counts.sum(axis=1).max()
    full = counts[counts.sum(axis=1) == n_raters]  # (exams, classes)
    expected = float(((full.sum(axis=0) / full.sum()) ** 2).sum())
    if n_raters < 2 or expected == 1:
        return None
    observed = float(((full**2).sum(axis=1) - n_raters).mean() / (n_raters * (n_raters - 1)))
    return (observed - expected) / (1 - expected)
