"""How often 95 % intervals of agreement beyond chance hold the true value, up to where hardly anybody is missed.

Result    quadratic weighted kappa 94.7 to 98.5 %, kappa 92.7 to 97.4 %, Matthews correlation 92.6 to 97.4 %;
          percentiles down to 47.3 %; 289 s on a busy machine. Of rare findings 94.5 to 97.4 %, percentiles
          70.0 to 94.6 %; 77 s on another
Hardware  two cores of an AMD EPYC, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/agreement_coverage.py [studies]
          python benchmarks/agreement_coverage.py rare [studies]

The studies are simulated: each patient is of one of five ordered classes, equally likely, and has 2 to 10 rows, whose
readings are the class plus an error that the patient's rows share and one of the row's own, rounded to the nearest
class. The truth follows from the normal distribution. With "rare" each patient has one row and a finding or not, which
is told by given sensitivity and specificity. Either call prints a table of docs/explanation/interval-coverage.md.
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
FINDING = Task(classes=("no", "yes"), positive="yes")
RARE = (  # patients, share with the finding, sensitivity, specificity
    (500, 0.02, 0.9, 0.999), (200, 0.05, 0.85, 0.99), (200, 0.05, 0.9, 0.95), (60, 0.1, 0.85, 0.99),
    (60, 0.1, 0.85, 0.9), (30, 0.2, 0.9, 0.95), (60, 0.3, 0.9, 0.95), (60, 0.5, 0.9, 0.9), (60, 0.5, 0.98, 0.98),
)  # fmt: skip


def truth_of(error):
    """Return the true quadratic weighted kappa, Cohen's kappa and Matthews correlation, (3,)."""
    at = np.arange(len(CLASSES))
    edges = np.array([-np.inf, *(at[1:] - 0.5), np.inf])
    read = np.diff(ndtr((edges - at[:, None]) / error))  # (true class, class read)
    return _true(read, ENTRIES)


def _true(read, entries):
    """Return metrics of so much of each true class that is read as each class, (K, K)."""
    label, called = (one.ravel() for one in np.indices(read.shape))
    rows = tally(label, np.eye(len(read))[called], read.ravel())
    return np.array([registry.load(entry.measure)(rows)[0] for entry in entries])


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


def rare_study(seed, setting):
    """Return a cohort of one family, with a row a patient."""
    n_patients, frequent, sensitivity, specificity = setting
    rng = np.random.default_rng([n_patients, seed])
    label = (rng.random(n_patients) < frequent).astype(np.int64)
    called = (rng.random(n_patients) < np.where(label, sensitivity, 1 - specificity)).astype(np.int64)
    names = tuple(f"s{i}" for i in range(n_patients))
    group = Group("family", 0, 0, 0, label, np.eye(2)[called], np.arange(n_patients), names)
    return Cohort(FINDING, tuple(f"p{i}" for i in range(n_patients)), (group,))


def true_rare(setting):
    """Return the true Cohen's kappa and Matthews correlation, (2,)."""
    _, frequent, sensitivity, specificity = setting
    rows = np.outer([1 - frequent, frequent], [1, 1]) * [[specificity, 1 - specificity], [1 - sensitivity, sensitivity]]
    return _true(rows, ENTRIES[1:])


def rare_coverage(n, setting, *, draws=DRAWS):
    """Return the share of n studies whose intervals hold the truth, of those with a value, (metrics, methods)."""
    return covered.coverage(n, lambda seed: rare_study(seed, setting), ENTRIES[1:], true_rare(setting), draws)


def table_of_rare(n):
    """Print what the intervals hold where a finding is rare."""
    heads = [f"{words}, {method}" for words in ("kappa", "Matthews") for method in covered.METHODS]
    print("| patients | positive in % | sensitivity | specificity | true kappa | " + " | ".join(heads) + " |")
    print("|---|---|---|---|---|" + "---:|" * len(heads))
    for setting in RARE:
        cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in rare_coverage(n, setting).ravel())
        n_patients, frequent, *rates = setting
        told = " | ".join(f"{one:g}" for one in (n_patients, 100 * frequent, *rates))
        print(f"| {told} | {true_rare(setting)[0]:.3f} | {cells} |", flush=True)


def table(n):
    """Print what the intervals hold of five grades."""
    heads = [f"{words}, {method}" for words in ("quadratic kappa", "kappa", "Matthews") for method in covered.METHODS]
    print("| true quadratic kappa | kappa | patients | " + " | ".join(heads) + " |")
    print("|---|---|---|" + "---:|" * len(heads))
    for error in ERRORS:
        for n_patients in N_PATIENTS:
            cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in coverage(n, error, n_patients).ravel())
            true = " | ".join(f"{one:.3f}" for one in truth_of(error)[:2])
            print(f"| {true} | {n_patients} | {cells} |", flush=True)


def main():
    n = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 1000
    start = time.perf_counter()
    (table_of_rare if "rare" in sys.argv[1:] else table)(n)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
