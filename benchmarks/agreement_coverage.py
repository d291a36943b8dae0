"""How often 95 % intervals of agreement beyond chance hold the true value, up to where hardly anybody is missed.

Result    quadratic weighted kappa 94.7 to 98.5 %, kappa 92.6 to 97.1 %, Matthews correlation 92.5 to 96.5 %;
          percentiles down to 47.3 %; 193 s on a busy machine
Hardware  two cores of an AMD EPYC, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/agreement_coverage.py [studies]

The studies are simulated: each patient is of one of five ordered classes, equally likely, and has 2 to 10 rows, whose
readings are the class plus an error that the patient's rows share and one of the row's own, rounded to the nearest
class. The truth follows from the normal distribution. It prints a table of docs/explanation/interval-coverage.md.
"""

from __future__ import annotations

import sys
import time

import covered
import numpy as np
from scipy.special import ndtr

from grandrounds import registry
from grandrounds.evaluate import METRICS
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.metrics import tally
from grandrounds.tables import Task

CLASSES = ("none", "doubtful", "mild", "moderate", "severe")
TASK = Task(kind="ordinal", classes=CLASSES)
ENTRIES = tuple(METRICS.get(name) for name in ("quadratic_kappa", "kappa", "mcc"))
ERRORS, N_PATIENTS = (0.9, 0.5, 0.3, 0.2), (12, 20, 50, 200)  # standard deviations, half of the variance shared
DRAWS = 500


def truth_of(error):
    """Return the true quadratic weighted kappa, Cohen's kappa and Matthews correlation, (3,)."""
    at = np.arange(len(CLASSES))
    edges = np.array([-np.inf, *(at[1:] - 0.5), np.inf])
    read = np.diff(ndtr((edges - at[:, None]) / error))  # (true class, class read)
    label, called = (one.ravel() for one in np.indices(read.shape))
    rows = tally(label, np.eye(len(at))[called], read.ravel())
    return np.array([registry.load(entry.measure)(rows)[0] for entry in ENTRIES])


def study(seed, error, n_patients):
    """Return a cohort of one family."""
    rng = np.random.default_rng([n_patients, seed])
    patient = np.repeat(np.arange(n_patients), rng.integers(2, 11, size=n_patients))
    label = rng.integers(len(CLASSES), size=n_patients)[patient]
    missed_by = error * np.sqrt(0.5) * (rng.normal(size=n_patients)[patient] + rng.normal(size=len(patient)))
    called = np.clip(np.rint(label + missed_by), 0, len(CLASSES) - 1).astype(np.int64)
    names = tuple(f"s{i}" for i in range(len(patient)))
    group = Group("family", 0, 0, 0, label, np.eye(len(CLASSES))[called], patient, names)
    return Cohort(TASK, tuple(f"p{i}" for i in range(n_patients)), (group,))


def coverage(n, error, n_patients, *, draws=DRAWS):
    """Return the share of n studies whose intervals hold the truth, (metrics, methods)."""
    return covered.coverage(n, lambda seed: study(seed, error, n_patients), ENTRIES, truth_of(error), draws)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    heads = [f"{words}, {method}" for words in ("quadratic kappa", "kappa", "Matthews") for method in covered.METHODS]
    print("| true quadratic kappa | kappa | patients | " + " | ".join(heads) + " |")
    print("|---|---|---|" + "---:|" * len(heads))
    for error in ERRORS:
        for n_patients in N_PATIENTS:
            cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in coverage(n, error, n_patients).ravel())
            true = " | ".join(f"{one:.3f}" for one in truth_of(error)[:2])
            print(f"| {true} | {n_patients} | {cells} |", flush=True)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
