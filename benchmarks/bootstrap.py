"""How long every metric of ten families takes under 10,000 patient-clustered resamples, with two and with five classes.

Result    two classes:  every metric in 6.3 s (target 20; under a load of 4), AUC alone in 1.1 s
          five classes: every metric in 7.1 s (target 60), AUC alone in 1.6 s, 438 MiB at most (target 2048)
          a loop over scikit-learn's functions takes 1,000 to 2,800 times as long in the same run (target 50)
Hardware  two cores of an Intel Xeon, no GPU, hardly any other work
n         medians of 3 runs each; loops are extrapolated from 3 resamples of 1 family, interleaved with ours
Run       python benchmarks/bootstrap.py [resamples]

The numbers are simulated: 10 families, 10,000 predictions each, of 1,000 patients, in 5 folds. The first call compiles
where nothing is cached yet; it is printed apart.
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

from grandrounds.evaluate import METRICS
from grandrounds.evaluate.bootstrap import draw, resample
from grandrounds.evaluate.cohort import assemble
from grandrounds.tables import Task

N_FAMILIES, N, N_PATIENTS, N_FOLDS = 10, 10_000, 1_000, 5
TASKS = {
    "two classes": Task(kind="binary", classes=("a", "b"), positive="b"),
    "five classes": Task(classes=("a", "b", "c", "d", "e")),
}
N_LOOPED, N_RUNS = 3, 3


def simulated(task):
    """Return the predictions of ten families that differ a little."""
    rng = np.random.default_rng(0)
    patient, truth = np.arange(N) % N_PATIENTS, rng.integers(len(task.classes), size=N)
    frames = []
    for family in range(N_FAMILIES):
        logits = rng.normal(size=(N, len(task.classes)))
        logits[np.arange(N), truth] += 1 + 0.03 * family
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        columns = {
            "sample": [f"s{i}" for i in range(N)],
            "patient": [f"p{i}" for i in patient],
            "fold": patient % N_FOLDS,
            "label": [task.classes[i] for i in truth],
        }
        columns |= {f"prob_{name}": probs[:, at] for at, name in enumerate(task.classes)}
        frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(f"family-{family}")))
    return pl.concat(frames)


def looped(cohort, r):
    """Compute the same metrics of the first family for one resample with scikit-learn; calibration is left out."""
    weights, n_classes = draw(len(cohort.patients), 0, 0)[:, r], len(cohort.task.classes)
    for group in cohort.of(cohort.families[0]):
        label, probs, weight = group.label, group.probs, weights[group.patient]
        called = probs.argmax(axis=1)
        for klass in range(n_classes):
            known.roc_auc_score(label == klass, probs[:, klass], sample_weight=weight)
            known.average_precision_score(label == klass, probs[:, klass], sample_weight=weight)
            known.recall_score(label != klass, called != klass, sample_weight=weight)
        known.precision_recall_fscore_support(label, called, sample_weight=weight, zero_division=np.nan)
        known.accuracy_score(label, called, sample_weight=weight)
        known.log_loss(label, probs, sample_weight=weight)
        np.average(((probs - np.eye(n_classes)[label]) ** 2).sum(axis=1), weights=weight)


def looped_auc(cohort, r):
    """Compute the AUC of the first family for one resample with scikit-learn."""
    weights = draw(len(cohort.patients), 0, 0)[:, r]
    for group in cohort.of(cohort.families[0]):
        for klass in range(len(cohort.task.classes) if len(cohort.task.classes) > 2 else 1):
            known.roc_auc_score(group.label == klass, group.probs[:, klass], sample_weight=weights[group.patient])


def timed(work):
    """Return wall and processor seconds."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - start, time.process_time() - used])


def measured(cohort, resamples):
    """Return medians of wall and processor seconds, (4, 2): ours, ours of the AUC, both loops; runs interleaved."""
    auc = (METRICS.get("auc"),)
    share = N_FAMILIES * resamples / N_LOOPED
    runs = [
        (
            timed(lambda: resample(cohort, resamples, 0)),
            timed(lambda: resample(cohort, resamples, 0, metrics=auc)),
            timed(lambda: [looped(cohort, r) for r in range(N_LOOPED)]) * share,
            timed(lambda: [looped_auc(cohort, r) for r in range(N_LOOPED)]) * share,
        )
        for _ in range(N_RUNS)
    ]
    return np.median(runs, axis=0)


def said(what, ours, loop):
    """Print seconds of ours and of the loop, and how many times as fast ours is."""
    (wall_s, used_s), (loop_s, loop_used_s) = ours, loop
    print(f"  {what:12} {wall_s:8.2f} s, {used_s:8.2f} processor seconds")
    print(f"  scikit-learn {loop_s:8.0f} s, {loop_used_s:8.0f} processor seconds: {loop_s / wall_s:.0f} times as long")


def main():
    resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for name, task in TASKS.items():
        cohort = assemble(simulated(task), task)
        first_s = timed(lambda cohort=cohort: resample(cohort, 1, 0))[0]
        every, auc, loop, loop_auc = measured(cohort, resamples)
        print(f"{name}: {N_FAMILIES} families x {N} predictions x {resamples} resamples")
        said("every metric", every, loop)
        said("AUC", auc, loop_auc)
        print(f"  first call   {first_s:8.2f} s, most of it to compile where nothing is cached")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(f"memory         {peak_mib:8.0f} MiB at most, imports included")
    print(f"load           {os.getloadavg()[0]:8.1f} in the last minute on {os.cpu_count()} cores")
    print(f"versions       python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, "
          f"scikit-learn {sklearn.__version__}, {platform.machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
