"""A004: do the roles differ in prevalence by more than chance allows?

Whole patients are dealt anew to the places that they have in the split, 199 times; the statistic is the greatest
chi-square of class against role over all folds, so that many folds do not make a finding likelier.

Assumes: under the null hypothesis patients are exchangeable, whatever the number of their cases.

Reference: Westfall & Young, Resampling-Based Multiple Testing (1993), for the greatest of several statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.audits.placing import FOLD, at, placed
from grandrounds.audits.protocol import AuditTables, Finding, not_applicable
from grandrounds.tables import numbered, patient_numbers, straddling
from grandrounds.wording import percent

Numbers = NDArray[np.float64]
N_DRAWS = 199
LEVEL = 0.01
SMALL = 0.05  # of prevalence; a smaller difference is not worth more than a tip


@dataclass(frozen=True, slots=True)
class _Places:
    """Who is where.

    Args:
        cells: Repeat and fold, and the rows of `members` that are its roles.
        roles: The role of each row of `members`.
        members: (R, P): whether a patient is in that role of that fold.
        counts: (P, K) cases of each class of each patient.
        classes: Their names.
    """

    cells: tuple[tuple[tuple[int, int], slice], ...]
    roles: tuple[str, ...]
    members: Numbers
    counts: Numbers
    classes: tuple[str, ...]


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a class is commoner in one role than in another, by more than chance and 5 points."""
    rows = placed(tables)
    if rows is None:
        return not_applicable("there is neither a split with labels nor a predictions table with roles")
    if rows["role"].n_unique() < 2 or rows["label"].n_unique() < 2:
        return not_applicable("only one role or one class is known")
    places = _places(rows)
    shares, statistic = _shares(places, places.counts)
    generator = seeds.generator(0, "stratified")
    drawn = [_greatest(places, generator.permutation(places.counts)) for _ in range(N_DRAWS)]
    p = (1 + sum(one >= statistic.max() - 1e-9 for one in drawn)) / (1 + N_DRAWS)
    words, gap = _widest(places, shares, int(statistic.argmax()))
    if p > LEVEL:
        return Finding(
            "passed",
            "The roles differ in prevalence by no more than chance allows, at most by "
            f"{100 * gap:.1f} percentage points.",
        )
    if gap < SMALL:
        return Finding("tip", f"The roles differ in prevalence by more than chance (p = {p:.3f}), but little: {words}.")
    return Finding(
        "finding",
        f"The roles differ in prevalence by more than chance allows (p = {p:.3f}): {words}. Probabilities and "
        "thresholds that were fitted at one prevalence are judged at another.",
    )


def _places(rows: pl.DataFrame) -> _Places:
    who, (classes, label), (words, role) = _units(rows), numbered(rows["label"]), numbered(rows["role"])
    # Numbers instead of names: a million cases in many folds are a lot of text.
    case = rows["case"].cast(pl.Categorical()).to_physical()
    placed = rows.select(FOLD).with_columns(case=case, who=who, label=label, role=role)
    owned = placed.unique(["case", "who", "label"])
    counts = np.zeros((who.n_unique(), len(classes)))
    np.add.at(counts, (owned["who"].to_numpy(), owned["label"].to_numpy()), 1)
    inside = placed.group_by(*FOLD, "role").agg(pl.col("who").unique()).sort(*FOLD, "role")
    members = np.zeros((inside.height, len(counts)))
    for at_row, people in enumerate(inside["who"]):
        members[at_row, people.to_numpy()] = 1
    cells, first = [], 0
    for repeat, fold, n_roles in inside.group_by(FOLD, maintain_order=True).len().iter_rows():
        cells.append(((repeat, fold), slice(first, first + n_roles)))
        first += n_roles
    roles = [str(words[number]) for number in inside["role"]]
    return _Places(tuple(cells), tuple(roles), members, counts, tuple(classes))


def _units(rows: pl.DataFrame) -> pl.Series:
    """Return who is dealt as one, as numbers: the patient, or the case where patients are unknown or on two sides."""
    if not rows["patient"].null_count():
        who = patient_numbers(rows["patient"])
        if straddling(rows.select(*FOLD, "role").with_columns(who=who)).is_empty():
            return who
    return numbered(rows["case"])[1]


def _shares(places: _Places, counts: Numbers) -> tuple[Numbers, Numbers]:
    """Return the prevalences (R, K) and the chi-square of each cell."""
    held = places.members @ counts  # (R, K)
    statistic = [_chi_square(held[inside]) for _, inside in places.cells]
    return held / np.maximum(held.sum(axis=1, keepdims=True), 1), np.array(statistic)


def _greatest(places: _Places, counts: Numbers) -> float:
    return float(_shares(places, counts)[1].max())


def _chi_square(held: Numbers) -> float:
    expected = held.sum(axis=1, keepdims=True) * held.sum(axis=0, keepdims=True) / max(held.sum(), 1)
    return float(((held - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())


def _widest(places: _Places, shares: Numbers, cell: int) -> tuple[str, float]:
    """Return the widest difference in prevalence of one cell, in words and as a number."""
    (repeat, fold), inside = places.cells[cell]
    part, roles = shares[inside], places.roles[inside]
    gaps = part.max(axis=0) - part.min(axis=0)  # (K,)
    k = int(gaps.argmax())
    most, least = int(part[:, k].argmax()), int(part[:, k].argmin())
    words = (
        f"in {at(repeat, fold)}, {places.classes[k]} makes up {percent(part[most, k], 1)} of {roles[most]} and "
        f"{percent(part[least, k], 1)} of {roles[least]}"
    )
    return words, float(gaps[k])
