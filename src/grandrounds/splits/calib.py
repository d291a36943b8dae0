"""Set a part of train apart as the role calib, on which probabilities are recalibrated and nothing else is done.

Calibrators that are fitted on valid meet probabilities that valid has helped to choose; and cross-fitting makes five
of one. A role of its own has neither fault and costs training patients. It is therefore drawn by itself only where a
twentieth of train is patients enough.

Reference: Niculescu-Mizil & Caruana, ICML (2005), on calibrating with data that trained nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from grandrounds import seeds
from grandrounds.errors import BadData
from grandrounds.splits.deal import deal
from grandrounds.splits.schemes import Drawn, Groups, by_class
from grandrounds.splits.spec import SplitSpec
from grandrounds.tables import CALIB_PATIENTS
from grandrounds.wording import percent

SHARE = 0.05  # of the training patients, where nobody declared one
OF_A_CLASS = 10  # patients in calib at least: a curve through fewer is a guess


def set_apart(drawn: Drawn, seed: int) -> Drawn:
    """Return the same division with calib in every fold, or in none where patients are too few.

    Args:
        drawn: What a scheme gave.
        seed: Root of the draws.

    Raises:
        BadData: A share was asked for that is too few patients.
    """
    spec = drawn.spec
    unasked = spec.calib == "auto"
    if spec.calib == "none" or (unasked and spec.group == "sample"):  # by sample imitates papers that knew no such role
        return replace(drawn, spec=spec.replaced(calib="none"))
    share = float(SHARE if unasked else spec.calib)
    folds = drawn.table.partition_by("repeat", "fold", maintain_order=True)
    chosen = [_chosen(part, spec, share, seed) for part in folds]
    classes = by_class(drawn.table)["label"].unique()
    fewest, of_a_class = (min(numbers) for numbers in zip(*(_sizes(one, classes) for one in chosen), strict=True))
    if fewest < CALIB_PATIENTS or of_a_class < OF_A_CLASS:
        if unasked:
            return replace(drawn, spec=spec.replaced(calib="none"))
        raise BadData(
            f"calib would have {fewest} patients, {of_a_class} of the rarest class, and needs {CALIB_PATIENTS} and "
            f"{OF_A_CLASS}", remedy='set a greater share of train apart, or none: calib = "none"',
        )  # fmt: skip
    table = pl.concat(_with_role(part, one) for part, one in zip(folds, chosen, strict=True))
    note = (
        f"{percent(share)} of train ({fewest} {'patients' if spec.group == 'patient' else 'cases'}"
        f"{' or more in each fold' if len(folds) > 1 else ''}) are set apart as calib: nothing is trained or chosen on "
        "them, probabilities are recalibrated."
    )
    return Drawn(table, spec.replaced(calib=share), (*drawn.notes, note))


def _chosen(part: pl.DataFrame, spec: SplitSpec, share: float, seed: int) -> pl.DataFrame:
    """Return the training cases of one fold that are to recalibrate: columns `case, group, label`."""
    train = part.filter(role="train")
    groups = Groups.of(train, spec)
    drawing = seeds.derive(seed, "calib", repeat=part["repeat"][0], fold=part["fold"][0])
    priority = np.array([1, groups.counts.shape[1] + 1])  # a class that train lacks outweighs all that calib lacks
    apart = deal(groups.counts, np.array([share, 1 - share]), seed=drawing, priority=priority) == 0
    return train.select("case", "label", group=pl.Series(groups.of_case)).filter(pl.Series(apart[groups.of_case]))


def _sizes(chosen: pl.DataFrame, classes: pl.Series) -> tuple[int, int]:
    """Return how many patients were chosen, and how many of the class that has the fewest."""
    held = by_class(chosen)
    return chosen["group"].n_unique(), min(held.filter(label=label)["group"].n_unique() for label in classes)


def _with_role(part: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    apart = pl.col("case").is_in(chosen["case"].implode())
    return part.with_columns(role=pl.when(apart).then(pl.lit("calib")).otherwise("role"))
