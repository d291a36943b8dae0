"""AUCs with DeLong's covariance, by row or clustered by patient, without resampling.

Each positive row is placed among the negative ones (the share of them it beats, ties half) and each negative row among
the positive ones; AUC is the mean placement, and its variance that of the placements. Placements come from ranks, so
that n rows cost n log n. For several families on the same rows everything is joint, so differences are paired.

Assumes: rows, or patients where they are given, are independent of one another and not few; the fitted models are
given.

Reference: DeLong et al., Biometrics 44:837 (1988); Sun & Xu, IEEE Signal Processing Letters 21:1389 (2014) for the
ranks; Obuchowski, Biometrics 53:567 (1997) for clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from grandrounds.errors import BadData
from grandrounds.shapes import ClassIndex

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Areas:
    """AUCs of F families on the same rows.

    Args:
        auc: (F,); NaN where a side is missing.
        covariance: (F, F) of the estimates; NaN with fewer than two positive or two negative rows or patients.
    """

    auc: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A number with its interval and the two-sided p of its being 0; NaN where there is no error to divide by."""

    estimate: float
    low: float
    high: float
    p: float


def areas(scores: NDArray[np.float64], positive: NDArray[np.bool_], patient: ClassIndex | None = None) -> Areas:
    """Return the AUC of each family and their covariance.

    Args:
        scores: (F, N) higher for more likely positive.
        positive: (N,).
        patient: (N,) any integers that tell patients apart; None where every row is a patient of its own.

    Raises:
        BadData: A score is not a number, or the lengths differ.

    >>> found = areas(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([False, False, True, True]))
    >>> found.auc.tolist(), found.covariance.tolist()
    ([0.75], [[0.125]])
    """
    scores = np.atleast_2d(scores)
    patient = np.arange(len(positive)) if patient is None else patient
    if not scores.shape[1] == len(positive) == len(patient):
        raise BadData(f"{scores.shape[1]} scores, {len(positive)} labels, {len(patient)} patients: not the same rows")
    if np.isnan(scores).any():
        raise BadData("a score is not a number", where=f"row {int(np.isnan(scores).any(axis=0).argmax())}")
    n_yes, n_no = int(positive.sum()), int((~positive).sum())
    if not (n_yes and n_no):
        return Areas(np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan))
    placed = _placements(scores, positive)  # (F, N)
    auc = placed[:, positive].mean(axis=1)
    centred = placed - auc[:, None]
    return Areas(auc, _covariance(centred, positive, np.unique(patient, return_inverse=True)[1]))


def difference(found: Areas, a: int, b: int, level: float = 0.05) -> Contrast:
    """Return the AUC of family `a` minus that of `b`, paired, with a normal interval that leaves out `level`."""
    spread = found.covariance
    apart = spread[a, a] + spread[b, b]
    variance = apart - 2 * spread[a, b]
    return _normal(float(found.auc[a] - found.auc[b]), float(variance if variance > _ROUNDING * apart else 0), level)


def _normal(estimate: float, variance: float, level: float) -> Contrast:
    # Two families that rank alike, and one that ranks without an error, have no spread: that is not certainty.
    if not variance > 0:
        return Contrast(estimate, np.nan, np.nan, np.nan)
    error = np.sqrt(variance)
    half = float(ndtri(1 - level / 2) * error)
    return Contrast(estimate, estimate - half, estimate + half, float(2 * ndtr(-abs(estimate) / error)))


def interval(found: Areas, family: int, level: float = 0.05) -> tuple[float, float]:
    """Return the normal interval of one AUC that leaves out `level`, cut at 0 and 1; NaN where there is no spread."""
    own = _normal(float(found.auc[family]), float(found.covariance[family, family]), level)
    return float(np.clip(own.low, 0, 1)), float(np.clip(own.high, 0, 1))


def _placements(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of the other side that each row is on the right side of, ties half, (F, N)."""
    placed = np.empty(scores.shape)
    for sign, side in ((1.0, positive), (-1.0, ~positive)):
        among_all = rankdata(sign * scores, axis=1)[:, side]
        among_own = rankdata(sign * scores[:, side], axis=1)
        placed[:, side] = (among_all - among_own) / (~side).sum()
    return placed


def _covariance(centred: NDArray[np.float64], positive: NDArray[np.bool_], patient: ClassIndex) -> NDArray[np.float64]:
    """Return Obuchowski's covariance of the AUCs, (F, F); with a row a patient it is DeLong's."""
    n_patients, sums = patient.max() + 1, []
    for side in (positive, ~positive):
        by_patient = [np.bincount(patient[side], weights=row[side], minlength=n_patients) for row in centred]
        sums.append(np.stack(by_patient) / side.sum())  # (F, P)
    n_yes, n_no = (len(np.unique(patient[side])) for side in (positive, ~positive))
    if min(n_yes, n_no) < 2:
        return np.full((len(centred), len(centred)), np.nan)
    yes, no = sums
    cross = yes @ no.T
    return np.asarray(
        n_yes / (n_yes - 1) * yes @ yes.T
        + n_no / (n_no - 1) * no @ no.T
        + n_patients / (n_patients - 1) * (cross + cross.T)
    )
