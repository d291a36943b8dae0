"""Whose images are identical: patients who share pixels may be one, under two ids, and stay on one side of a split.

Abhishek et al., Scientific Data 12:196 (2025) found the same lesions under several ids, in train and in test.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from grandrounds.tables import patient_numbers, shows_something

# Of one image. What more of them have is nobody's body, but a test pattern or an empty frame.
MOST_PATIENTS = 8


def with_twins(cases: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Return the cases with the column `together`: a number that those share who share an image; null for others.

    An image of one value binds nobody, nor does one that more than `MOST_PATIENTS` have. Where no two patients share an
    image, the column is not there.

    Args:
        cases: Columns `case, patient` and others, one row a case.
        samples: Table `samples`, with `sha256`, `low` and `high` as far as they are known.
    """
    if not {"sha256", "low", "high"} <= set(samples.columns):
        return cases
    who = samples.select("sha256", "low", "high").with_columns(who=patient_numbers(samples["patient"]))
    shown = who.filter(pl.col("sha256").is_not_null(), shows_something()).unique(["sha256", "who"])
    shared = shown.filter(pl.len().over("sha256").is_between(2, MOST_PATIENTS))
    if shared.is_empty():
        return cases
    linked = shared.with_columns(first=pl.col("who").min().over("sha256"))
    ends = linked["first"].to_numpy(), linked["who"].to_numpy()
    n = int(ends[1].max()) + 1
    _, group = connected_components(coo_array((np.ones(len(linked)), ends), shape=(n, n)), directed=False)
    members = linked.select("who").unique()
    members = members.with_columns(together=pl.Series(group[members["who"].to_numpy()], dtype=pl.Int64()))
    people = samples.select("case").with_columns(who=who["who"]).unique()
    bound = people.join(members, on="who").select("case", "together").unique("case")
    return cases.join(bound, on="case", how="left", maintain_order="left")
