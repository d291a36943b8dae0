"""What other data show beside those of the study, and who their patients are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.external import Side, external
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("healthy", "ill"), positive="ill")


def side(role: str, ages: list[object], spacing_mm: list[float]) -> Side:
    """Return a side of as many patients as there are ages, every other one ill."""
    n = len(ages)
    label = [TASK.classes[at % 2] for at in range(n)]
    ill = np.random.default_rng(0).uniform(0.1, 0.9, n)
    names = [f"{role} {at}" for at in range(n)]
    rows = pl.DataFrame({"sample": names, "case": names, "patient": names, "label": label,
                         "prob_healthy": 1 - ill, "prob_ill": ill})  # fmt: skip
    fixed = {"unit": "sample", "task": "label", "trial": "one", "family": "one", "recipe": "one", "role": role}
    rows = rows.with_columns(*(pl.lit(value).alias(name) for name, value in fixed.items()), repeat=0, fold=0, seed=0)
    facts = pl.DataFrame({"sample": names, "age_years": ages, "spacing_mm": [spacing_mm] * n})
    return Side(assemble(rows, TASK, role), facts)


def mix(home: Side, away: Side) -> dict[str, dict[str, float]]:
    """Return home and external share of each slice."""
    found = external("theirs", home, away, METRICS.get("auc"), resamples=100).filter(kind="mix", what="slice")
    return {row["label"]: {"home": row["home"], "external": row["external"]} for row in found.iter_rows(named=True)}


def test_ages_are_cut_into_the_same_bands_on_both_sides():
    """Thirty ages of their own on each side become shares of a few bands, whole years and fractions alike."""
    found = mix(side("test", list(range(20, 50)), [0.7]), side("external", [50.5 + at for at in range(30)], [0.9]))

    assert found["age_years: 18 to below 40"] == {"home": pytest.approx(20 / 30), "external": 0.0}
    assert found["age_years: 40 to below 60"] == {"home": pytest.approx(10 / 30), "external": pytest.approx(10 / 30)}


def test_columns_that_hold_lists_are_no_slices():
    """A spacing has a number an axis: it is left out, and the rest is told."""
    assert all(name.startswith("age") for name in mix(side("test", [30, 70] * 5, [0.7, 0.7]),
                                                      side("external", [30, 30, 70, 70] * 3, [0.7, 0.7])))  # fmt: skip


def test_words_and_numbers_of_one_column_meet_as_words():
    """Where one side writes words, both are words."""
    found = mix(side("test", [30, 70] * 5, [0.7]), side("external", ["30", "old"] * 6, [0.7]))
    assert found["age_years: old"] == {"home": 0.0, "external": 0.5}


def test_no_error_on_either_side_is_no_proof_of_no_drop():
    """A model without a miss on thirty patients at home and on twelve elsewhere may still be worth less there."""
    sides = [side(role, [50] * n, [0.7]) for role, n in (("test", 30), ("external", 12))]
    told = [replace(one.cohort, groups=(replace(one.cohort.groups[0], probs=_sure(one)),)) for one in sides]
    home, away = (one._replace(cohort=cohort) for one, cohort in zip(sides, told, strict=True))
    auc = external("theirs", home, away, METRICS.get("auc"), resamples=100).filter(what="auc").row(0, named=True)

    assert (auc["home"], auc["external"], auc["difference"]) == (1.0, 1.0, 0.0)
    assert auc["low"] == pytest.approx(-(1 - 0.025 ** (1 / 6)))  # elsewhere six are ill and six are not
    assert auc["high"] == pytest.approx(1 - 0.025 ** (1 / 15))


def _sure(one: Side) -> np.ndarray:
    """Return probabilities that tell every patient rightly."""
    return np.eye(2)[one.cohort.groups[0].label] * 0.8 + 0.1
