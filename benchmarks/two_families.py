"""Two families that read the same simulated patients, for the benchmarks that compare families of known AUC."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.special import expit, ndtri

from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.evaluate.cohort import assemble
from grandrounds.evaluate.pairs import paired
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
AUC = METRICS.get("auc")
TIE = 0.5  # correlation of what the families make of an image of a class
DRAWS = 512


def side_by_side(seed, n_patients, n_ill, areas):
    """Return the families a and b of these AUCs: their predictions, an image of each patient, and the two as a pair."""
    rng = np.random.default_rng(seed)
    ill = np.arange(n_patients) < n_ill
    common, frames = np.sqrt(TIE) * rng.normal(size=n_patients), []
    for family, area in zip("ab", areas, strict=True):
        own = np.sqrt(1 - TIE) * rng.normal(size=n_patients)
        yes = expit(ndtri(area) * np.sqrt(2) * (ill - 0.5) + common + own)
        columns = {
            "sample": [f"s{i:04d}" for i in range(n_patients)],
            "patient": [f"p{i:04d}" for i in range(n_patients)],
            "label": np.array(TASK.classes)[ill.astype(int)],
            "prob_no": 1 - yes,
            "prob_yes": yes,
        }
        frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(family), fold=0))
    cohort = assemble(pl.concat(frames), TASK)
    return cohort, paired(cohort, resample(cohort, DRAWS, seed, metrics=(AUC,), threads=1), AUC, seed)
