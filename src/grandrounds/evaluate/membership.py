"""A test of a slice against the rest: who belongs to the slice is drawn by lot, and the difference looked at again.

If a family reads the slice as it reads the rest, then given the true class it makes no difference who belongs to it.
Patients who lie wholly in the slice or wholly outside change places among those of the same classes; samples of a
patient who has some on either side change places among his or her own of the same class. Sizes, and the share of each
class on either side, stay as they are. p is the share of draws whose difference is at least as large as the real one.

A bootstrap of the difference would not do: a small slice without an error has no spread, and would always seem better.

Assumes: patients are independent of one another. The test is exact for that null, whatever the number of patients.

Reference: Edgington & Onghena, Randomization Tests, 4th ed. (2007); DiCiccio, Vasudevan, Basu, Kenthapadi & Agarwal,
KDD (2020) on permuting membership; Phipson & Smyth, Statistical Applications in Genetics and Molecular Biology 9:39
(2010) for p, which is never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.evaluate.bootstrap import BLOCK
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.metrics import Sheet, sheet
from grandrounds.evaluate.overall import overall

METHOD = "slice against the rest, permutation of who belongs to it"
_ROUNDING = 1e-12  # draws that differ by less than this differ by the order of a sum


@dataclass(frozen=True, slots=True)
class Roll:
    """The samples of a cohort, each once.

    Args:
        names: Name to place.
        inside: (S,) whether it lies in the slice.
        swaps: Those that change places with one another; each is the places of samples that stay together.
    """

    names: dict[str, int]
    inside: NDArray[np.bool_]
    swaps: tuple[tuple[NDArray[np.int64], ...], ...]


def roll(cohort: Cohort, samples: frozenset[str]) -> Roll:
    """Return who belongs to a slice, and who may change places with whom."""
    rows = pl.concat(
        pl.DataFrame({"sample": group.sample, "patient": group.patient, "label": group.label})
        for group in cohort.groups
    ).unique("sample", keep="first", maintain_order=True)
    inside = rows["sample"].is_in(list(samples))
    rows = rows.with_columns(inside=inside).with_row_index("at")
    whole = pl.col("inside").n_unique().over("patient") == 1
    patients = (
        rows.filter(whole)
        .group_by("patient", maintain_order=True)
        .agg("at", pl.col("label").unique().sort().cast(pl.String).implode().list.join(","))
    )
    together = [
        tuple(np.array(at, np.int64) for at in part["at"].to_list())
        for part in patients.partition_by("label", maintain_order=True)
    ]
    single = [
        tuple(np.array([at], np.int64) for at in part["at"].to_list())
        for part in rows.filter(~whole).partition_by("patient", "label", maintain_order=True)
    ]
    swaps = tuple(one for one in (*together, *single) if len(one) > 1)
    return Roll(dict(zip(rows["sample"], range(rows.height), strict=True)), inside.to_numpy(), swaps)


def p_of_difference(cohort: Cohort, who: Roll, family: str, entry: MetricEntry, draws: int, seed: int) -> float:
    """Return the p of a family's difference between slice and rest; NaN where there is no difference to speak of.

    Args:
        cohort: What was judged, slice and rest together.
        who: Who belongs to the slice.
        family: One of the cohort's.
        entry: A metric that has an overall value.
        draws: How many.
        seed: Of the draws.
    """
    sheets = [
        sheet(group.label, group.probs, np.array([who.names[name] for name in group.sample], np.int64))
        for group in cohort.of(family)
    ]
    observed = float(_differences(sheets, cohort, entry, who.inside[:, None].astype(np.uint8))[0])
    if np.isnan(observed):
        return float("nan")
    drawn = np.concatenate([_differences(sheets, cohort, entry, one) for one in _lots(who, draws, seed)])[:draws]
    drawn = drawn[~np.isnan(drawn)]
    return float((1 + (np.abs(drawn) >= abs(observed) - _ROUNDING).sum()) / (1 + len(drawn)))


def _differences(
    sheets: list[Sheet], cohort: Cohort, entry: MetricEntry, inside: NDArray[np.uint8]
) -> NDArray[np.float64]:
    return overall(sheets, entry, cohort.task, inside) - overall(sheets, entry, cohort.task, 1 - inside)


def _lots(who: Roll, draws: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield who belongs to the slice in each draw, (S, 256)."""
    for block in range(-(-draws // BLOCK)):
        generator = seeds.generator(seed, "membership", block=block)
        drawn = np.repeat(who.inside[:, None].astype(np.uint8), BLOCK, axis=1)
        for units in who.swaps:
            now = np.array([who.inside[one[0]] for one in units], np.uint8)
            if 0 < now.sum() < len(now):  # otherwise there is nothing to change
                lot = generator.permuted(np.tile(now, (BLOCK, 1)), axis=1)  # (256, n)
                for one, member in zip(units, lot.T, strict=True):
                    drawn[one] = member
        yield drawn
