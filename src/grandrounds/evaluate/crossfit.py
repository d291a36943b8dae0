"""Recalibration by patient: fitted on rows that are used for nothing else, or cross-fitted where these are few.

With enough patients in the role `calib` a calibrator is fitted on all of them and applied to the judged rows. Otherwise
the patients of the setting role are dealt into five parts: five calibrators are fitted, each on four parts, and the
judged rows get their mean. Either way a row of the setting role is recalibrated only by a calibrator that has not seen
its patient, so that methods can be compared there and thresholds set there.

Reference: Zadrozny & Elkan, KDD (2002); the mean of cross-fitted calibrators is that of scikit-learn's
`CalibratedClassifierCV`, here with patients for rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.evaluate.calibrators import CALIBRATORS
from grandrounds.evaluate.cohort import Group
from grandrounds.shapes import Probs

N_PARTS = 5
FEWEST = 10  # patients; a curve through fewer is a guess
NONE = "none"


class Pair(NamedTuple):
    """The rows of one trial on which rules are set, and those on which they are judged."""

    setting: Group
    judged: Group


class Recalibrated(NamedTuple):
    """Probabilities of one trial after a calibrator that has not seen their patients: setting rows, judged rows."""

    setting: Probs
    judged: Probs


def recalibrated(method: str, pair: Pair, seed: int, *, whole: bool) -> Recalibrated | None:
    """Return one trial recalibrated; None where there are fewer than ten patients to fit on.

    Args:
        method: Name of a calibrator, or "none".
        pair: The trial.
        seed: Of the dealing of patients into parts.
        whole: Whether the judged rows get one calibrator fitted on all setting rows, instead of the mean of five.
    """
    setting, judged = pair
    if method == NONE:
        return Recalibrated(setting.probs, judged.probs)
    if len(np.unique(setting.patient)) < FEWEST:
        return None
    fit, own, other = CALIBRATORS[method], np.empty_like(setting.probs), []
    for part in _parts(setting.patient, seed):
        calibrator = fit(setting.probs[~part], setting.label[~part])
        own[part] = calibrator(setting.probs[part])
        other.append(calibrator(judged.probs))
    if whole:
        return Recalibrated(own, fit(setting.probs, setting.label)(judged.probs))
    return Recalibrated(own, np.mean(other, axis=0))


def _parts(patient: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows are held out in each of the five parts."""
    known = np.unique(patient)
    order = seeds.generator(seed, "cross-fitting").permutation(len(known))
    part = np.empty(len(known), np.int64)
    part[order] = np.arange(len(known)) % N_PARTS
    of_row = part[np.searchsorted(known, patient)]
    yield from (of_row == one for one in range(N_PARTS))
