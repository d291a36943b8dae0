"""A paired permutation test: the two families' predictions change places patient by patient.

If it makes no difference which of two families reads a patient, then who is called a and who b may be drawn by lot for
every patient, with all of its samples, folds, repeats and seeds as one block. p is the share of such draws in which the
families differ at least as much as they do. A draw weighs the rows of both families by 0 or 1, so that it costs what a
bootstrap resample of both costs.

A metric that reads only the order of the rows would mix up two scales of probability. Each family's probabilities are
replaced by their ranks first, which leaves its own value as it is.

Assumes: patients are independent of one another; under the null the two predictions of a patient are exchangeable. That
is more than equal values of the metric; with not too few patients the test is right for these, too.

Reference: Bandos et al., Statistics in Medicine 24:2873 (2005) for ranks exchanged in pairs; Phipson & Smyth,
Statistical Applications in Genetics and Molecular Biology 9:39 (2010) for p, which is never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.evaluate.bootstrap import BLOCK
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.contrast import Contrast
from grandrounds.evaluate.delong import midranks
from grandrounds.evaluate.metrics import Sheet, sheet
from grandrounds.evaluate.overall import overall
from grandrounds.shapes import Probs

METHOD = "paired permutation of patients"
_ROUNDING = 1e-12  # draws that differ by less than this differ by the order of a sum


def permutation(cohort: Cohort, a: str, b: str, entry: MetricEntry, draws: int, seed: int) -> Contrast:
    """Return the difference a minus b with the p of exchanging them by patient; it has no interval.

    Args:
        cohort: What is judged; both families must have finished the same folds and seeds.
        a: One family.
        b: The other.
        entry: The metric.
        draws: How many.
        seed: Of the draws.
    """
    n_patients = len(cohort.patients)
    sheets = [
        _both(one, other, n_patients, ranked=entry.needs == "ranking")
        for one, other in zip(cohort.of(a), cohort.of(b), strict=True)
    ]

    def differences(swapped: NDArray[np.uint8]) -> NDArray[np.float64]:
        kept = 1 - swapped  # (P, R)
        as_a, as_b = (np.concatenate(pair) for pair in ((kept, swapped), (swapped, kept)))  # (2P, R)
        return overall(sheets, entry, cohort.task, as_a) - overall(sheets, entry, cohort.task, as_b)

    observed = float(differences(np.zeros((n_patients, 1), np.uint8))[0])
    if np.isnan(observed):
        return Contrast(np.nan, np.nan, np.nan, np.nan)
    drawn = np.concatenate([differences(_lots(n_patients, seed, at)) for at in range(-(-draws // BLOCK))])[:draws]
    drawn = drawn[~np.isnan(drawn)]
    beyond = int((np.abs(drawn) >= abs(observed) - _ROUNDING).sum())
    return Contrast(observed, np.nan, np.nan, (1 + beyond) / (1 + len(drawn)))


def _lots(n_patients: int, seed: int, block: int) -> NDArray[np.uint8]:
    """Return which patients change places in each draw of one block, (P, 256)."""
    return seeds.generator(seed, "permutation", block=block).integers(2, size=(n_patients, BLOCK), dtype=np.uint8)


def _both(one: Group, other: Group, n_patients: int, *, ranked: bool) -> Sheet:
    """Return the rows of both families; the second family's patients are counted on from the first's."""
    probs = [_ranks(group.probs) if ranked else group.probs for group in (one, other)]
    units = np.concatenate([one.patient, other.patient + n_patients])
    return sheet(np.concatenate([one.label, other.label]), np.concatenate(probs), units)


def _ranks(probs: Probs) -> Probs:
    """Return the ranks within each class as shares of all rows, (N, K)."""
    return midranks(probs.T).T / len(probs)
