"""AUCs with DeLong's covariance, by row or clustered by patient, without resampling.

Each positive row is placed among the negative ones (the share of them it beats, ties half) and each negative row among
the positive ones; AUC is the mean placement, and its variance that of the placements. Placements come from ranks, so
that n rows cost n log n. For several families on the same rows everything is joint, so differences are paired.

Several folds, repeats and seeds each have an AUC of their own, and the mean of these is what counts. What a patient's
rows pull it by is added up over all of them before it is squared, so that a patient remains one cluster.

Assumes: rows, or patients where they are given, are independent of one another and not few; the fitted models are
given.

Reference: DeLong et al., Biometrics 44:837 (1988); Sun & Xu, IEEE Signal Processing Letters 21:1389 (2014) for the
ranks; Obuchowski, Biometrics 53:567 (1997) for clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from grandrounds.errors import BadData
from grandrounds.evaluate.cohort import Cohort
from grandrounds.evaluate.contrast import Contrast, normal
from grandrounds.shapes import ClassIndex

_ROUNDING = 1e-12


def hanley_mcneil(area: float, n_positive: int, n_negative: int) -> float:
    """Return the variance of an AUC that its value and the numbers on either side allow for.

    Reference: Hanley & McNeil, Radiology 143:29 (1982).
    """
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n_positive - 1) * (one - area**2) + (n_negative - 1) * (two - area**2)
    return spread / (n_positive * n_negative)


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
class _Part:
    """The AUCs of one set of rows, and what each patient pulls them by.

    Args:
        auc: (F,).
        yes: (F, P) centred placements of a patient's positive rows, over the number of all positive rows.
        no: (F, P) the same of the negative rows.
        n_yes: Patients with a positive row.
        n_no: Patients with a negative row.
        n_patients: Patients with any.
    """

    auc: NDArray[np.float64]
    yes: NDArray[np.float64]
    no: NDArray[np.float64]
    n_yes: int
    n_no: int
    n_patients: int


def areas(scores: NDArray[np.float64], positive: NDArray[np.bool_], patient: ClassIndex | None = None) -> Areas:
    """Return the AUC of each family and their covariance.

    Args:
        scores: (F, N) higher for more likely positive.
        positive: (N,).
        patient: (N,) any integers that tell patients apart; None where every row is a patient of its own.

    Raises:
        BadData: A score is not a number, or the lengths differ.

    >>> found = areas(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([False, False, True, True]))
    >>> found.auc.tolist(), found.covariance.round(6).tolist()
    ([0.75], [[0.125]])
    """
    scores = np.atleast_2d(scores)
    patient = np.arange(len(positive)) if patient is None else patient
    if not scores.shape[1] == len(positive) == len(patient):
        raise BadData(f"{scores.shape[1]} scores, {len(positive)} labels, {len(patient)} patients: not the same rows")
    if np.isnan(scores).any():
        raise BadData("a score is not a number", where=f"row {int(np.isnan(scores).any(axis=0).argmax())}")
    places = np.unique(patient, return_inverse=True)[1]
    return _averaged([_part(scores, positive, places, int(places.max(initial=0)) + 1)], len(scores))


def pooled(cohort: Cohort, families: Sequence[str], klass: int) -> Areas:
    """Return the families' mean AUCs over the folds and seeds where they are defined, with their covariance.

    Args:
        cohort: What is judged.
        families: All of them must have finished the same folds and seeds.
        klass: Which class is positive.
    """
    parts = []
    for groups in zip(*(cohort.of(family) for family in families), strict=True):
        scores = np.stack([group.probs[:, klass] for group in groups])  # (F, N)
        parts.append(_part(scores, groups[0].label == klass, groups[0].patient, len(cohort.patients)))
    return _averaged(parts, len(families))


def difference(found: Areas, a: int, b: int, level: float = 0.05) -> Contrast:
    """Return the AUC of family `a` minus that of `b`, paired, with a normal interval that leaves out `level`."""
    spread = found.covariance
    apart = spread[a, a] + spread[b, b]
    variance = apart - 2 * spread[a, b]
    return normal(float(found.auc[a] - found.auc[b]), float(variance if variance > _ROUNDING * apart else 0), level)


def interval(found: Areas, family: int, level: float = 0.05) -> tuple[float, float]:
    """Return the interval of one AUC that leaves out `level`, normal in its log odds; NaN where there is no spread.

    On the AUC's own scale it would reach beyond 1, and with 50 patients cover less than it says.

    Reference: Pepe, The Statistical Evaluation of Medical Tests (2003), §5.2.
    """
    auc, variance = float(found.auc[family]), float(found.covariance[family, family])
    if not 0 < auc < 1:
        return np.nan, np.nan
    own = normal(float(logit(auc)), variance / (auc * (1 - auc)) ** 2, level)
    return float(expit(own.low)), float(expit(own.high))


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks within each row from 1, equal values sharing the mean of theirs, (F, N).

    >>> midranks(np.array([[0.3, 0.1, 0.3]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    # scipy.stats has this as well, and takes longer to import than most sets take to judge.
    ranks = np.empty(values.shape)
    for row, own in zip(ranks, values, strict=True):
        _, place, count = np.unique(own, return_inverse=True, return_counts=True)
        row[:] = (count.cumsum() - (count - 1) / 2)[place]
    return ranks


def _placements(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of the other side that each row is on the right side of, ties half, (F, N)."""
    placed = np.empty(scores.shape)
    for sign, side in ((1.0, positive), (-1.0, ~positive)):
        among_all = midranks(sign * scores)[:, side]
        among_own = midranks(sign * scores[:, side])
        placed[:, side] = (among_all - among_own) / (~side).sum()
    return placed


def _part(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], patient: ClassIndex, n_patients: int
) -> _Part | None:
    """Return the AUCs of one set of rows; None where a side is missing."""
    if positive.all() or not positive.any():
        return None
    placed = _placements(scores, positive)  # (F, N)
    auc = placed[:, positive].mean(axis=1)
    sums = [
        np.stack([np.bincount(patient[side], row, n_patients) for row in (placed - auc[:, None])[:, side]]) / side.sum()
        for side in (positive, ~positive)
    ]
    return _Part(auc, *sums, *(len(np.unique(patient[side])) for side in (positive, ~positive, positive | ~positive)))


def _averaged(parts: Sequence[_Part | None], n_families: int) -> Areas:
    """Return the mean AUCs and Obuchowski's covariance of them; of one part with a row a patient it is DeLong's."""
    defined = [part for part in parts if part is not None]
    if not defined:
        return Areas(np.full(n_families, np.nan), np.full((n_families, n_families), np.nan))

    def mean(name: str, counted: str) -> NDArray[np.float64]:
        sums = [getattr(part, name) * _widened(getattr(part, counted)) for part in defined]
        return np.asarray(np.mean(sums, axis=0))  # (F, P)

    yes, no = mean("yes", "n_yes"), mean("no", "n_no")
    # A patient with rows on both sides ties the two together; this part has its own count of patients.
    cross = mean("yes", "n_patients") @ mean("no", "n_patients").T
    covariance = np.asarray(yes @ yes.T + no @ no.T + cross + cross.T)
    return Areas(np.mean([part.auc for part in defined], axis=0), covariance)


def _widened(n: int) -> float:
    """Return what makes up for a mean that was estimated from n patients; NaN from one alone."""
    return float(np.sqrt(n / (n - 1))) if n > 1 else np.nan
