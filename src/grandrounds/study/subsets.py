"""Parts of the training patients, for a learning curve: nested, stratified by class, the same for every family."""

from __future__ import annotations

import math

import polars as pl

from grandrounds import seeds


def part_of(rows: pl.DataFrame, share: float, seed: int) -> frozenset[str]:
    """Return the patients of a part: of each class that share of its patients, at least one.

    Of one seed a smaller part lies within a larger one. A patient of several classes counts for the first in order.

    Args:
        rows: Columns `patient, label`, of the role train.
        share: Above 0, at most 1.
        seed: Of the order in which patients join.

    >>> rows = pl.DataFrame({"patient": list("abcdefgh"), "label": ["x"] * 6 + ["y"] * 2})
    >>> len(part_of(rows, 0.5, 0)), part_of(rows, 0.25, 0) < part_of(rows, 0.5, 0)
    (4, True)
    """
    classes = rows.group_by("patient").agg(pl.col("label").min()).sort("patient")
    kept: list[str] = []
    for (label,), part in classes.group_by("label", maintain_order=True):
        order = seeds.generator(seed, "part of training", label=str(label)).permutation(part.height)
        kept += part["patient"].gather(order[: math.ceil(share * part.height - 1e-9)]).to_list()
    return frozenset(kept)
