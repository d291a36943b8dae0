"""Sets of classes that hold the true one as often as was asked for, whatever the model is worth.

The score of a row is 1 minus the stated probability of its true class. The scores of the rows that calibrators are
fitted on have a quantile, and the set of a new row holds every class whose score would not exceed it. Every patient has
one vote, divided among his or her rows, and the new patient has one that stands at infinity: the set of a random row of
a new patient then holds the true class with at least the probability asked for, for any number of patients. With one
row a patient this is the ⌈(P + 1) · coverage⌉-th smallest score. Where there are too few patients for that, the set
holds all classes.

Assumes: these patients and the new one are exchangeable. Where they are those of valid, which has chosen the epoch too,
they may look a little too good; how often the sets hold on the judged patients is counted.

Reference: Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World (2005); Sadinle, Lei & Wasserman, JASA
114:223 (2019) for the score; Lee, Barber & Willett, arXiv:2306.06342 (2023) for a vote divided within groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.cohort import Group
from grandrounds.evaluate.crossfit import NONE
from grandrounds.evaluate.prevalence import part
from grandrounds.evaluate.rules import Measure, Reading, Rule, Values, by_patient
from grandrounds.wording import percent

_ROUNDING = 1e-12


def quantile(scores: NDArray[np.float64], patient: NDArray[np.int64], coverage: float) -> float:
    """Return the smallest score up to which the votes reach the coverage; infinite where they never do.

    Args:
        scores: (N,).
        patient: (N,) whose row it is.
        coverage: Share of the votes, that of the new patient among them.

    >>> quantile(np.arange(1.0, 20.0), np.arange(19), 0.9)
    18.0
    >>> quantile(np.array([0.1, 0.2, 0.3]), np.arange(3), 0.9)
    inf
    """
    _, place, n_rows = np.unique(patient, return_inverse=True, return_counts=True)
    votes = 1 / n_rows[place] / (len(n_rows) + 1)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(votes[order]) >= coverage - _ROUNDING
    return float(scores[order][np.argmax(reached)]) if reached.any() else math.inf


def conformal_sets(reading: Reading) -> Iterator[Rule]:
    """Yield the one rule: sets of the coverage asked for."""
    coverage, n_trials = reading.aims.coverage, len(reading.trials)
    measures, bars = [], []
    for fitting, _, judged in reading.trials:
        own = 1 - fitting.probs[np.arange(len(fitting.label)), fitting.label]
        bars.append(quantile(own, fitting.patient, coverage))
        measures.append(_measure(judged, 1 - judged.probs <= bars[-1] + _ROUNDING, reading.n_patients))
    full = int(np.isinf(bars).sum())
    needed = math.ceil(coverage / (1 - coverage) - 1e-9)
    notes = (f"in {full} of {n_trials} trials fewer than {needed} patients to set it on: every set holds all classes",)
    yield Rule(
        f"sets that hold the true class {percent(coverage)} of the time", None, NONE, tuple(measures),
        None if full else float(1 - np.mean(bars)), {"coverage": coverage},
        {"right_if_decided": "no set holds exactly one class"}, notes if full else (), reading.apart,
    )  # fmt: skip


def _measure(judged: Group, sets: NDArray[np.bool_], n_patients: int) -> Measure:
    """Return coverage, size, and what sets of one class are worth; the rows of a patient share one vote."""
    holds = sets[np.arange(len(sets)), judged.label]
    single = sets.sum(axis=1) == 1
    amounts = np.stack([np.ones(len(sets)), holds, sets.sum(axis=1), single, single & holds])
    sums = by_patient(amounts, judged.patient, n_patients)  # (5, P)
    n_rows = sums[0]
    cells = np.divide(sums, n_rows, out=np.zeros_like(sums), where=n_rows > 0)

    def read(sums: NDArray[np.float64]) -> dict[str, Values]:
        n, held, size, decided, right = sums
        present = np.where(n > 0, n, np.nan)
        return {
            "coverage": held / present, "set_size": size / present, "decided": decided / present,
            "right_if_decided": part(right, decided - right),
        }  # fmt: skip

    return Measure(cells, read)
