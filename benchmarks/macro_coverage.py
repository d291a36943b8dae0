"""How often 95 % intervals of means over classes hold the true value, where a class is rare or hardly ever missed.

Result    the shown interval 93.7 to 98.6 %, that of the mean itself 81.5 to 99.7 %, percentiles 41.5 to 94.8 %; 169 s
          on a busy machine
Hardware  two cores of an AMD EPYC, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/macro_coverage.py [studies]

The studies are simulated: each patient is of one class, and each of his or her rows has a score for every class, which
is higher for the true one and whose errors the patient's rows share in part. The truth comes from 100,000 rows of each
class, weighed by how frequent the class is. It prints a table of docs/explanation/interval-coverage.md; the columns
"of the mean" are what was shown before docs/decisions/0031-means-from-their-parts.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.special import softmax

from grandrounds import registry
from grandrounds.evaluate import METRICS
from grandrounds.evaluate.bootstrap import interval, resample
from grandrounds.evaluate.bounds import bounds, on_scale
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.metrics import tally
from grandrounds.tables import Task

ENTRIES = tuple(METRICS.get(name) for name in ("auc", "average_precision", "balanced_accuracy"))
METHODS = ("shown", "of the mean", "percentiles")
DRAWS, POINTS = 500, 100_000
SETTINGS = (  # patients, how frequent each class is in per cent, how far its score is lifted, and the most rows of one
    (200, (95, 5), (2.5, 2.5), 1),
    (60, (90, 10), (2.5, 2.5), 1),
    (60, (50, 50), (2.5, 2.5), 1),
    (200, (46, 46, 8), (3, 3, 4), 1),
    (60, (40, 40, 20), (2, 2, 4), 1),
    (60, (40, 40, 20), (2, 2, 4), 10),
    (100, (50, 30, 15, 5), (2, 2, 2, 4), 1),
    (100, (50, 30, 15, 5), (2, 2, 2, 2), 10),
    (24, (25, 25, 25, 25), (3, 3, 3, 3), 1),
    (60, (25, 25, 25, 25), (2, 2, 2, 2), 1),
    (300, (20, 20, 20, 20, 20), (2, 2, 2, 2, 2), 1),
)


def task_of(shares):
    """Return the task of so many classes."""
    names = tuple("abcdefgh"[: len(shares)])
    return Task(kind="multiclass", classes=names) if len(names) > 2 else Task(classes=names, positive=names[-1])


def scored(rng, label, patient, lifts, most_rows):
    """Return probabilities (N, K) of rows whose errors are shared by half within a patient who may have several."""
    shared = np.sqrt(0.5) if most_rows > 1 else 0.0
    errors = shared * rng.normal(size=(patient.max() + 1, len(lifts)))[patient]
    errors += np.sqrt(1 - shared**2) * rng.normal(size=(len(label), len(lifts)))
    errors[np.arange(len(label)), label] += np.asarray(lifts)[label]
    return softmax(errors, axis=1)


def study(seed, setting):
    """Return a cohort of one family."""
    n_patients, shares, lifts, most_rows = setting
    rng = np.random.default_rng([n_patients, *shares, seed])
    patient = np.repeat(np.arange(n_patients), rng.integers(1, most_rows + 1, size=n_patients))
    label = rng.choice(len(shares), size=n_patients, p=np.array(shares) / sum(shares))[patient]
    names = tuple(f"s{i}" for i in range(len(patient)))
    group = Group("family", 0, 0, 0, label, scored(rng, label, patient, lifts, most_rows), patient, names)
    return Cohort(task_of(shares), tuple(f"p{i}" for i in range(n_patients)), (group,))


def truth_of(setting):
    """Return the true overall values, (metrics,)."""
    _, shares, lifts, most_rows = setting
    label = np.repeat(np.arange(len(shares)), POINTS)
    probs = scored(np.random.default_rng(0), label, np.arange(len(label)), lifts, most_rows)
    rows = tally(label, probs, np.array(shares)[label])
    by_class = [registry.load(entry.measure)(rows)[:, 0] for entry in ENTRIES]
    positive_alone = len(shares) == 2
    return np.array([
        one[-1] if positive_alone and entry.overall == "positive" else one.mean()
        for entry, one in zip(ENTRIES, by_class, strict=True)
    ])  # fmt: skip


def held(seed, setting, truth):
    """Return whether each interval holds the truth, (metrics, methods); NaN where the value is undefined."""
    cohort = study(seed, setting)
    drawn = resample(cohort, DRAWS, seed, metrics=ENTRIES, threads=1)
    carriers, inside = Carriers.of(cohort, "family"), np.full((len(ENTRIES), len(METHODS)), np.nan)
    for at, (entry, true) in enumerate(zip(ENTRIES, truth, strict=True)):
        column = drawn.at(entry.name)
        value, values = float(drawn.estimate[0, column]), drawn.values[0, column]
        if not np.isnan(value):
            whole = on_scale(entry, value, values, carriers.number(drawn.columns[column]))
            ends = np.array([bounds(drawn, 0, column, carriers), whole, interval(values)])
            inside[at] = (ends[:, 0] <= true) & (true <= ends[:, 1])
    return inside


def coverage(n, setting):
    """Return the share of n studies whose intervals hold the truth, of those with a value, (metrics, methods)."""
    truth = truth_of(setting)
    return np.nanmean([held(seed, setting, truth) for seed in range(n)], axis=0)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    words = ("macro AUC", "macro average precision", "balanced accuracy")
    heads = [f"{one}, {method}" for one in words for method in METHODS]
    print("| patients | classes in % | rows each | " + " | ".join(heads) + " |")
    print("|---|---|---|" + "---:|" * len(heads))
    for setting in SETTINGS:
        n_patients, shares, _, most_rows = setting
        of_each = coverage(n, setting)
        if len(shares) == 2:
            of_each[:2] = np.nan  # of two classes only balanced accuracy is a mean
        cells = " | ".join("–" if np.isnan(one) else f"{one:.1%}".replace("%", " %") for one in of_each.ravel())
        rows = f"1 to {most_rows}" if most_rows > 1 else "1"
        print(f"| {n_patients} | {', '.join(map(str, shares))} | {rows} | {cells} |", flush=True)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
