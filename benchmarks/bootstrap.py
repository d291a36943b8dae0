"""How long every metric of ten families takes under 10,000 patient-clustered resamples.

Result    all metrics × 10 families × 5,000 predictions × 5 classes × 10,000 resamples: 1.4 to 2.4 s, 376 MiB
          about 8,000 times as fast as a loop over scikit-learn's functions on one core in the same run
Hardware  two cores of an Intel Xeon, no GPU, other work running beside it
n         three runs; the loop is extrapolated from 3 resamples of 1 family
Run       python benchmarks/bootstrap.py [resamples]

The numbers are simulated: 1,000 patients with 5 samples each, 5 folds. The first call compiles where nothing is cached
yet; it is printed apart.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time

import numba
import numpy as np
import polars as pl
import sklearn
from sklearn import metrics as known

from grandrounds.evaluate.bootstrap import draw, resample
from grandrounds.evaluate.cohort import assemble
from grandrounds.tables import Task

N_FAMILIES, N, N_PATIENTS, N_FOLDS = 10, 5_000, 1_000, 5
TASK = Task(classes=("a", "b", "c", "d", "e"))
N_LOOPED = 3


def simulated():
    """Return the predictions of ten families that differ a little."""
    rng = np.random.default_rng(0)
    patient, truth = np.arange(N) % N_PATIENTS, rng.integers(len(TASK.classes), size=N)
    frames = []
    for family in range(N_FAMILIES):
        logits = rng.normal(size=(N, len(TASK.classes)))
        logits[np.arange(N), truth] += 1 + 0.03 * family
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        columns = {
            "sample": [f"s{i}" for i in range(N)],
            "patient": [f"p{i}" for i in patient],
            "fold": patient % N_FOLDS,
            "label": [TASK.classes[i] for i in truth],
        }
        columns |= {f"prob_{name}": probs[:, at] for at, name in enumerate(TASK.classes)}
        frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(f"family-{family}")))
    return pl.concat(frames)


def looped(cohort, r):
    """Compute the same metrics of the first family for one resample with scikit-learn; calibration is left out."""
    weights = draw(len(cohort.patients), 0, 0)[:, r]
    for group in cohort.of(cohort.families[0]):
        label, probs, weight = group.label, group.probs, weights[group.patient]
        called = probs.argmax(axis=1)
        for klass in range(len(TASK.classes)):
            known.roc_auc_score(label == klass, probs[:, klass], sample_weight=weight)
            known.average_precision_score(label == klass, probs[:, klass], sample_weight=weight)
            known.recall_score(label != klass, called != klass, sample_weight=weight)
        known.precision_recall_fscore_support(label, called, sample_weight=weight, zero_division=np.nan)
        known.accuracy_score(label, called, sample_weight=weight)
        known.log_loss(label, probs, sample_weight=weight)
        np.average(((probs - np.eye(len(TASK.classes))[label]) ** 2).sum(axis=1), weights=weight)


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cohort = assemble(simulated(), TASK)
    first_s = timed(lambda: resample(cohort, 1, 0))
    ours_s = timed(lambda: resample(cohort, resamples, 0))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    looped_s = timed(lambda: [looped(cohort, r) for r in range(N_LOOPED)]) / N_LOOPED * N_FAMILIES * resamples
    print(f"grandrounds  {ours_s:8.2f} s for {resamples} resamples")
    print(f"first call   {first_s:8.2f} s, most of it to compile where nothing is cached")
    print(f"scikit-learn {looped_s:8.0f} s extrapolated from {N_LOOPED} resamples of one family")
    print(f"ratio        {looped_s / ours_s:8.0f}")
    print(f"memory       {peak_mib:8.0f} MiB at most, imports included")
    print(f"load         {os.getloadavg()[0]:8.1f} in the last minute on {os.cpu_count()} cores")
    print(f"versions     python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, "
          f"scikit-learn {sklearn.__version__}, {platform.machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
