"""A grey zone: between a threshold that misses few and one that alarms few, nobody decides.

With two classes the band lies between the highest threshold of the sensitivity asked for and the lowest of the
specificity asked for. Below it a row is not called, from its upper end on it is called. Where one threshold reaches
both, there is no band. The thresholds are set on the setting rows; who is decided on, and what is right among these, is
counted on the judged ones.

Reference: Coste & Pouchot, International Journal of Epidemiology 32:304 (2003).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.cohort import Group
from grandrounds.evaluate.prevalence import part
from grandrounds.evaluate.rules import Measure, Reading, Rule, Values, by_patient
from grandrounds.evaluate.thresholds import for_sensitivity, for_specificity, operating


def grey_zone(reading: Reading) -> Iterator[Rule]:
    """Yield the band of a binary task, between the first sensitivity and the first specificity that are aimed for."""
    positive, aims = positive_of(reading.task), reading.aims
    if positive is None or not (aims.sensitivity and aims.specificity):
        return
    klass, bands, measures = reading.task.classes.index(positive), [], []
    for rows, probs in zip(reading.trials, reading.probs, strict=True):
        points = operating(probs.setting[:, klass], rows.setting.label == klass)
        if points is not None:
            low = for_sensitivity(points, aims.sensitivity[0])
            high = max(low, for_specificity(points, aims.specificity[0]))
            bands.append((low, high))
            measures.append(_measure(rows.judged, klass, probs.judged[:, klass], low, high, reading.n_patients))
    if not measures:
        return
    low, high = np.mean(bands, axis=0)
    notes = [f"abstains from {low:.3f} on" + (f", to below {high:.3f}" if np.isfinite(high) else "")]
    if len(measures) < len(reading.trials):
        n = len(reading.trials)
        notes.append(f"not set in {n - len(measures)} of {n} trials: all or none of the setting rows are {positive}")
    words = f"abstain between sensitivity {aims.sensitivity[0]:g} and specificity {aims.specificity[0]:g}"
    yield Rule(
        words, positive, reading.calibration, tuple(measures), notes=tuple(notes),
        undefined=dict.fromkeys(("recall", "specificity", "precision", "npv"), "nobody to count is decided on"),
    )  # fmt: skip


def _measure(
    judged: Group, klass: int, stated: NDArray[np.float64], low: float, high: float, n_patients: int
) -> Measure:
    truth, called, passed = judged.label == klass, stated >= high, stated < low
    rows = [np.ones(len(truth)), truth & called, truth & passed, ~truth & called, ~truth & passed]
    cells = by_patient(np.stack(rows), judged.patient, n_patients)  # (5, P)

    def read(sums: NDArray[np.float64]) -> dict[str, Values]:
        n, hits, misses, alarms, rest = sums
        return {
            "decided": (hits + misses + alarms + rest) / np.where(n > 0, n, np.nan),
            "recall": part(hits, misses), "specificity": part(rest, alarms), "precision": part(hits, alarms),
            "npv": part(rest, misses),
        }  # fmt: skip

    return Measure(cells, read)
