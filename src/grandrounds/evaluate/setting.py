"""Which rows probabilities are recalibrated on and which ones rules are set on, and the recalibration that reads best.

Calibrators are fitted on `calib` where every trial has at least fifty patients of it, else cross-fitted by patient on
`valid` (else on a smaller `calib`). Rules are set on `valid`, or where the calibrators were fitted if there is none.
Among the recalibrations, none of them included, the one with the least log loss on the fitting rows is chosen, each
patient's rows recalibrated by a calibrator that has not seen that patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from grandrounds.evaluate.calibrators import CALIBRATORS
from grandrounds.evaluate.cohort import CELL, Cohort, Run
from grandrounds.evaluate.crossfit import NONE, Recalibrated, Rows, applied, recalibrated
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import CALIB_PATIENTS, Role


class Setting(NamedTuple):
    """The roles that calibrators are fitted on and rules are set on.

    Args:
        fitting: Of the calibrators.
        rules: Of the rules.
        whole: Whether other rows get a calibrator fitted on all fitting rows, instead of cross-fitted ones.
    """

    fitting: Role
    rules: Role
    whole: bool

    @property
    def words(self) -> str:
        """The role of the rules, and how calibrators are fitted."""
        if self.fitting != self.rules:
            return f"{self.rules}, recalibrated on {self.fitting}"
        return self.rules if self.whole else f"{self.rules}, cross-fitted by patient"

    @property
    def sentence(self) -> str:
        """The same for a reader."""
        if self.whole:
            how = f"on {self.fitting}, whose patients nothing was trained or chosen on"
        else:
            how = f"on {self.fitting}, cross-fitted by patient, since calib has fewer than {CALIB_PATIENTS} patients"
        return f"Rules of decision were set on {self.rules}; where it helps, probabilities were recalibrated {how}."


def setting_of(predictions: pl.DataFrame) -> Setting | None:
    """Return where to fit and to set; None where there is no role for it beside test.

    Args:
        predictions: Table `predictions`, of samples or of what `levels.lift` made of them.
    """
    if "role" not in predictions.columns:
        return None
    trials = predictions.group_by("role", *(name for name in CELL if name in predictions.columns))
    fewest = dict(trials.agg(pl.col("patient").n_unique()).group_by("role").agg(pl.col("patient").min()).iter_rows())
    present: list[Role] = [role for role in ("valid", "calib") if role in fewest]
    if "test" not in fewest or not present:
        return None
    whole = fewest.get("calib", 0) >= CALIB_PATIENTS
    return Setting("calib" if whole else present[0], present[0], whole)


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Every recalibration of one family, and the best.

    Args:
        runs: The trials, in order.
        best: The method with the least log loss on the fitting rows; the first of equals, and "none" is first.
        found: Method to what it makes of each trial.
    """

    runs: tuple[Run, ...]
    best: str
    found: Mapping[str, tuple[Recalibrated, ...]]

    @property
    def trials(self) -> tuple[Recalibrated, ...]:
        """What the best makes of each trial."""
        return self.found[self.best]

    def judging(self, trials: Sequence[Rows]) -> Recalibration | None:
        """Return the same calibrators with what they make of other judged rows; None where it is not the same trials.

        Args:
            trials: With the rows for fitting and setting that these calibrators have seen.
        """
        if self.runs != tuple(rows.judged.run for rows in trials):
            return None
        found = {
            method: tuple(
                one._replace(judged=applied(one.calibrators, rows.judged.probs))
                for rows, one in zip(trials, each, strict=True)
            )
            for method, each in self.found.items()
        }
        return replace(self, found=found)


def rows_of(fitting: Cohort, setting: Cohort, judged: Cohort, family: str) -> tuple[Rows, ...]:
    """Return the trials of a family that have rows in all three; the first two may be one and the same."""
    fits, sets = ({group.run: group for group in cohort.of(family)} for cohort in (fitting, setting))
    return tuple(
        Rows(fits[group.run], fits[group.run] if setting is fitting else sets[group.run], group)
        for group in judged.of(family)
        if group.run in fits and group.run in sets
    )


def recalibration(trials: Sequence[Rows], setting: Setting, seed: int) -> Recalibration:
    """Return every recalibration that every trial has patients enough for.

    Args:
        trials: Of one family.
        setting: Where calibrators are fitted.
        seed: Of the dealing of patients.
    """
    found: dict[str, tuple[Recalibrated, ...]] = {}
    for method in (NONE, *CALIBRATORS):
        each = [recalibrated(method, rows, seed, whole=setting.whole) for rows in trials]
        known = tuple(one for one in each if one is not None)
        if len(known) == len(each):
            found[method] = known
    best = min(found, key=lambda method: _loss(trials, found[method]))
    return Recalibration(tuple(rows.judged.run for rows in trials), best, found)


def _loss(trials: Sequence[Rows], told: Sequence[Recalibrated]) -> float:
    losses = [_log_loss(one.fitting, rows.fitting.label) for rows, one in zip(trials, told, strict=True)]
    return float(np.mean(losses))


def _log_loss(probs: Probs, label: ClassIndex) -> float:
    own = probs[np.arange(len(label)), label]
    return -float(np.log(np.clip(own, np.finfo(np.float64).eps, None)).mean())
