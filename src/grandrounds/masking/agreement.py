"""How well masks agree with the truth or with other masks: Dice, over patients, with its interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from torch import nn

from grandrounds.data.hrct_chest import Chest
from grandrounds.image import Geometry, Image
from grandrounds.prepare.lungs import lungs_of
from grandrounds.specs import Spec
from grandrounds.training import unet

Mask = NDArray[np.bool_]


class Agreement(Spec):
    """A mean Dice over patients, with its 95 % interval.

    Args:
        what: Of what.
        mean: Over patients, the sections of each taken together.
        low: Lower end.
        high: Upper end.
        n_patients: How many.
    """

    what: str
    mean: float
    low: float
    high: float
    n_patients: int


def judged(network: nn.Module, pixel_mm: float, others: Iterator[Chest]) -> tuple[Agreement, ...]:
    """Return the Dice of the network, of thresholds, and by how much the network is better, over patients."""
    both = dict[str, list[tuple[int, int, int, int]]]()
    for one in others:
        spacing_mm = (one.pixel_mm, one.pixel_mm)
        by_unet = unet.lungs_by(network, one.hu[None], spacing_mm, pixel_mm)[0]
        by_threshold = lungs_of(Image(one.hu[None], Geometry(spacing_mm), unit="hu"))
        counts = (*_counts(by_unet, one.lungs), *_counts(by_threshold, one.lungs))
        both.setdefault(one.patient, []).append(counts)
    per_patient = np.array([np.sum(sections, axis=0) for sections in both.values()])  # (patients, 4)
    u_net, thresholds = per_patient[:, 0] / per_patient[:, 1], per_patient[:, 2] / per_patient[:, 3]
    return (
        over_patients("U-Net", u_net),
        over_patients("thresholds", thresholds),
        over_patients("U-Net less thresholds", u_net - thresholds),
    )


def over_patients(what: str, values: NDArray[np.float64]) -> Agreement:
    """Return a mean with its BCa interval over patients.

    Assumes independent patients. Reference: Efron, JASA 1987;82:171, as in `scipy.stats.bootstrap`.
    """
    found = scipy.stats.bootstrap((values,), np.mean, n_resamples=9999, rng=np.random.default_rng(0), method="BCa")
    low, high = found.confidence_interval
    return Agreement(what=what, mean=float(values.mean()), low=float(low), high=float(high), n_patients=len(values))


def dice(one: Mask, other: Mask) -> float:
    """Return twice what two masks share over what they hold together; 1 where both are empty."""
    shared, both = _counts(one, other)
    return shared / both if both else 1.0


def _counts(one: Mask, other: Mask) -> tuple[int, int]:
    return 2 * int((one & other).sum()), int(one.sum()) + int(other.sum())
