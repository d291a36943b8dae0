"""Recalibration by patient: fitted on rows that are used for nothing else, or cross-fitted where these are few.

With enough patients in the role `calib` a calibrator is fitted on all of them and applied to every other row.
Otherwise the patients of `valid` are dealt into five parts: five calibrators are fitted, each on four parts, and the
judged rows get their mean. Either way no row is recalibrated by a calibrator that has seen its patient, so that methods
can be compared on the rows that they are fitted on and thresholds set on those of `valid`.

Reference: Zadrozny & Elkan, KDD (2002); the mean of cross-fitted calibrators is that of scikit-learn's
`CalibratedClassifierCV`, here with patients for rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.evaluate.calibrators import CALIBRATORS, Calibrator
from grandrounds.evaluate.cohort import Group
from grandrounds.shapes import Probs

N_PARTS = 5
FEWEST = 10  # patients; a curve through fewer is a guess
NONE = "none"


class Rows(NamedTuple):
    """The rows of one trial.

    Args:
        fitting: Those that calibrators are fitted on.
        setting: Those that rules are set on; the very same where no role is kept for fitting.
        judged: Those that what was set is judged on.
    """

    fitting: Group
    setting: Group
    judged: Group


class Recalibrated(NamedTuple):
    """Probabilities of one trial after calibrators that have not seen their patients, and the calibrators.

    Args:
        fitting: Of the rows that calibrators were fitted on.
        setting: Of the rows that rules are set on.
        judged: Of the judged rows.
        calibrators: Whose mean the judged rows got; none where they are as stated.
    """

    fitting: Probs
    setting: Probs
    judged: Probs
    calibrators: tuple[Calibrator, ...] = ()


def recalibrated(method: str, rows: Rows, seed: int, *, whole: bool) -> Recalibrated | None:
    """Return one trial recalibrated; None where there are fewer than ten patients to fit on.

    Args:
        method: Name of a calibrator, or "none".
        rows: The trial.
        seed: Of the dealing of patients into parts.
        whole: Whether other rows get one calibrator fitted on all fitting rows, instead of the mean of five.
    """
    fitting, setting, judged = rows
    if method == NONE:
        return Recalibrated(fitting.probs, setting.probs, judged.probs)
    if len(np.unique(fitting.patient)) < FEWEST:
        return None
    fit, own, parts = CALIBRATORS[method], np.empty_like(fitting.probs), list[Calibrator]()
    for part in _parts(fitting.patient, seed):
        parts.append(fit(fitting.probs[~part], fitting.label[~part]))
        own[part] = parts[-1](fitting.probs[part])
    for_others = (fit(fitting.probs, fitting.label),) if whole else tuple(parts)
    told = own if setting is fitting else applied(for_others, setting.probs)
    return Recalibrated(own, told, applied(for_others, judged.probs), for_others)


def applied(calibrators: tuple[Calibrator, ...], probs: Probs) -> Probs:
    """Return the mean of what calibrators make of probabilities, (N, K); as they are where there is none."""
    return np.mean([one(probs) for one in calibrators], axis=0) if calibrators else probs


def _parts(patient: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows are held out in each of the five parts."""
    known = np.unique(patient)
    order = seeds.generator(seed, "cross-fitting").permutation(len(known))
    part = np.empty(len(known), np.int64)
    part[order] = np.arange(len(known)) % N_PARTS
    of_row = part[np.searchsorted(known, patient)]
    yield from (of_row == one for one in range(N_PARTS))
