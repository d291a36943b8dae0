"""How often 95 % intervals hold the true value, by patients and by row, down to where they fail.

Result    the shown interval 92.7 to 96.5 % from 50 patients with 20 positive on, at AUCs of 0.79, 0.95 and 0.98; by row
          67 to 83 %; percentiles 88 to 95 %; 384 s on a busy machine. Likelihood ratios 93.1 to 97.5 %, their
          percentiles 81.4 to 94.7 %; losses 91.4 to 94.9 %; net benefit 93.0 to 96.8 %, its percentiles 90.5 to
          95.5 %; 415 s on another
Hardware  two cores of an Intel Xeon, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/interval_coverage.py [studies]
          python benchmarks/interval_coverage.py bands [studies]
          python benchmarks/interval_coverage.py others [studies]

The studies are simulated: each patient is positive or not, has an effect that all of his or her rows share, and 2 to 10
rows. The truth is known in closed form. The first call prints the first table of
docs/explanation/interval-coverage.md, the second what the bands of curves hold, and the third what the intervals of
probabilities, ratios and calibration do.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from grandrounds import registry
from grandrounds.evaluate import METRICS, delong
from grandrounds.evaluate.bca import bca
from grandrounds.evaluate.bootstrap import interval, left_out, resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.curves import GRID, ODDS, THRESHOLDS, curves
from grandrounds.evaluate.metrics import tally
from grandrounds.evaluate.sandwich import sandwich
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
SHARED, OWN, SHIFT = 1.0, 1.0, 1.6  # standard deviations of patient and row; distance of the two classes' means
SPREAD = float(np.hypot(SHARED, OWN))
NEAR, NEARER = 3.29, 4.11  # distances at which the AUC is 0.95 and 0.98
ENTRIES = tuple(METRICS.get(name) for name in ("auc", "recall"))
DRAWS = 500
SETTINGS = (  # distance, patients, and how many of them are positive
    *((SHIFT, *one) for one in (
        (200, 80), (100, 40), (50, 25), (50, 20), (50, 10), (50, 5), (30, 15), (20, 10), (12, 6),
    )),
    (NEAR, 200, 80), (NEAR, 100, 40), (NEAR, 50, 20), (NEARER, 200, 80), (NEARER, 100, 40), (NEARER, 50, 20),
)  # fmt: skip
METHODS = ("shown", "percentiles", "BCa", "DeLong", "rows")
OTHERS = tuple(METRICS.get(name) for name in ("brier", "log_loss", "lr_positive", "lr_negative", "net_benefit"))
REFITTED = tuple(METRICS.get(name) for name in ("calibration_slope", "calibration_intercept"))
POINTS = 20_000  # of the integrals
HIGH = 79  # place of the threshold of 0.8, from which on a false call costs four hits


def truth_of(shift):
    """Return AUC and sensitivity: scores are normal; a row is called positive in the middle between the means."""
    return np.array([ndtr(shift / SPREAD / np.sqrt(2)), ndtr(shift / 2 / SPREAD)])


def study(seed, shift, n_patients, n_positive, *, drawn=False):
    """Return a cohort of one family, and the same with every row for a patient of its own.

    With `drawn` the positive patients are so many on average only: what depends on prevalence varies with it.
    """
    rng = np.random.default_rng([n_patients, n_positive, seed])
    n_each = rng.integers(2, 11, size=n_patients)
    patient = np.repeat(np.arange(n_patients), n_each)
    place = rng.random(n_patients) * n_patients if drawn else rng.permutation(n_patients)
    truth = (place < n_positive)[patient].astype(np.int64)
    odds = shift * (truth - 0.5) + SHARED * rng.normal(size=n_patients)[patient] + OWN * rng.normal(size=len(patient))
    positive = 1 / (1 + np.exp(-odds))
    probs = np.stack([1 - positive, positive], axis=1)
    return _cohort(truth, probs, patient), _cohort(truth, probs, np.arange(len(patient)))


def _cohort(truth, probs, unit):
    names = tuple(f"s{i}" for i in range(len(truth)))
    group = Group("family", 0, 0, 0, truth, probs, unit, names)
    return Cohort(TASK, tuple(f"p{i}" for i in range(int(unit.max()) + 1)), (group,))


def held(seed, setting, *, draws=DRAWS):
    """Return whether each interval holds the truth, (metrics, methods); NaN where there is no such method."""
    by_patient, by_row = study(seed, *setting)
    drawn, loose = (resample(one, draws, seed, metrics=ENTRIES, threads=1) for one in (by_patient, by_row))
    without = left_out(by_patient, metrics=ENTRIES, threads=1)
    ends = np.full((len(ENTRIES), len(METHODS), 2), np.nan)
    for at, entry in enumerate(ENTRIES):
        column = drawn.at(entry.name, None if entry.name == "auc" else "yes")
        ends[at, 0] = _shown(by_patient, drawn, column)
        ends[at, 1] = interval(drawn.values[0, column])
        ends[at, 2] = bca(drawn.estimate[0, column], drawn.values[0, column], without[0, column])
        ends[at, 4] = _shown(by_row, loose, column)
    ends[0, 3] = delong.interval(delong.pooled(by_patient, ("family",), 1), 0)
    truth = truth_of(setting[0])[:, None]
    inside = ((ends[..., 0] <= truth) & (truth <= ends[..., 1])).astype(float)  # no interval holds nothing
    inside[1, 3] = np.nan
    return inside


def _shown(cohort, drawn, column):
    return bounds(drawn, 0, column, Carriers.of(cohort, "family"))


def coverage(n, setting, *, draws=DRAWS):
    """Return the share of n studies whose intervals hold the truth, (metrics, methods)."""
    return np.stack([held(seed, setting, draws=draws) for seed in range(n)]).mean(axis=0)


def true_others(shift, share):
    """Return the true values of what the third call is about, from points of the two normal distributions."""
    points = SPREAD * ndtri((np.arange(POINTS) + 0.5) / POINTS)
    positive = expit(np.concatenate([points - shift / 2, points + shift / 2]))
    label, weight = np.repeat([0, 1], POINTS), np.repeat([1 - share, share], POINTS)
    rows = tally(label, np.stack([1 - positive, positive], axis=1), weight)
    return np.array([np.atleast_2d(registry.load(one.measure)(rows))[-1, 0] for one in (*OTHERS, *REFITTED)])


def others_held(seed, setting, truth):
    """Return whether the shown interval and percentiles hold each true value, (metrics, 2); NaN where there is none."""
    cohort, _ = study(seed, *setting, drawn=True)
    drawn = resample(cohort, DRAWS, seed, metrics=OTHERS, threads=1)
    ends = np.full((len(truth), 2, 2), np.nan)
    for at, entry in enumerate(OTHERS):
        column = drawn.at(entry.name, None if entry.overall == "whole" else "yes")
        ends[at] = _shown(cohort, drawn, column), interval(drawn.values[0, column])
    for at, entry in enumerate(REFITTED, len(OTHERS)):
        found = sandwich(cohort, "family", entry)
        ends[at, 0] = found.estimate[1] + found.half_width[1] * np.array([-1, 1])
    inside = ((ends[..., 0] <= truth[:, None]) & (truth[:, None] <= ends[..., 1])).astype(float)
    return np.where(np.isnan(ends).any(axis=2), np.nan, inside)


def others_coverage(n, setting):
    """Return the share of n studies whose intervals hold the truth, of those that give one, (metrics, 2)."""
    shift, n_patients, n_positive = setting
    truth = true_others(shift, n_positive / n_patients)
    found = np.stack([others_held(seed, setting, truth) for seed in range(n)])
    given = (~np.isnan(found)).sum(axis=0)
    return np.divide(np.nansum(found, axis=0), given, out=np.full(given.shape, np.nan), where=given > 0)


def true_curves(shift, share):
    """Return the true height of each curve at each point of its grid, of the decision curve at each threshold."""
    roc = ndtr(ndtri(GRID) + shift / SPREAD)
    hits, alarms = share * GRID, (1 - share) * ndtr(ndtri(GRID) - shift / SPREAD)
    above = [ndtr((side * shift / 2 - logit(THRESHOLDS)) / SPREAD) for side in (1, -1)]
    return {
        "roc": roc,
        "precision-recall": hits / np.maximum(hits + alarms, 1e-300),
        "decision": share * above[0] - (1 - share) * above[1] * ODDS,
    }


def held_by_bands(seed, setting):
    """Return for each curve whether the band holds the true one, (points,); the ends of shares are left out."""
    shift, n_patients, n_positive = setting
    cohort = study(seed, *setting)[0]
    known = _held(cohort, seed, true_curves(shift, n_positive / n_patients))
    drawn = _held(study(seed, *setting, drawn=True)[0], seed, true_curves(shift, n_positive / n_patients))
    return known["roc"][1:-1], known["precision-recall"][1:-1], drawn["decision"], drawn["decision"][HIGH:]


def _held(cohort, seed, true):
    found = curves(cohort, seed).filter(family="family", label="yes")
    ends = {name: found.filter(curve=name).sort("x").select("low", "high").to_numpy() for name in true}
    return {name: (ends[name][:, 0] <= one) & (one <= ends[name][:, 1]) for name, one in true.items()}


def table_of_bands(n):
    """Print the share of points at which the band holds the true curve."""
    heads = ("ROC curve", "precision against recall", "net benefit", f"net benefit from {THRESHOLDS[HIGH]:g} on")
    print("| true AUC | patients (positive) | " + " | ".join(heads) + " |")
    print("|---|---|" + "---:|" * len(heads))
    for setting in SETTINGS:
        found = zip(*(held_by_bands(seed, setting) for seed in range(n)), strict=True)
        cells = " | ".join(f"{np.mean(one):.1%}".replace("%", " %") for one in found)
        shift, n_patients, n_positive = setting
        print(f"| {truth_of(shift)[0]:.2f} | {n_patients} ({n_positive}) | {cells} |", flush=True)


def table(n):
    """Print what the intervals of AUC and sensitivity hold, by method."""
    heads = [f"{words}, {method}" for words in ("AUC", "sensitivity") for method in METHODS]
    del heads[-2]  # DeLong is for the AUC
    print("| true AUC | patients (positive) | " + " | ".join(heads) + " |")
    print("|---|---|" + "---:|" * len(heads))
    for setting in SETTINGS:
        shares = [one for one in coverage(n, setting).ravel() if not np.isnan(one)]
        cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in shares)
        shift, n_patients, n_positive = setting
        print(f"| {truth_of(shift)[0]:.2f} | {n_patients} ({n_positive}) | {cells} |", flush=True)


def table_of_others(n):
    """Print what the intervals of probabilities, ratios and calibration hold."""
    resampled = [(one, method) for one in OTHERS for method in ("shown", "percentiles")]
    heads = [f"{one.label}, {method}" for one, method in (*resampled, *((one, "shown") for one in REFITTED))]
    print("| true AUC | patients (positive) | " + " | ".join(heads) + " |")
    print("|---|---|" + "---:|" * len(heads))
    for setting in SETTINGS:
        of_others, of_refitted = np.split(others_coverage(n, setting), [len(OTHERS)])
        cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in (*of_others.ravel(), *of_refitted[:, 0]))
        shift, n_patients, n_positive = setting
        print(f"| {truth_of(shift)[0]:.2f} | {n_patients} ({n_positive}) | {cells} |", flush=True)


def main():
    asked = {"bands": table_of_bands, "others": table_of_others}
    which = asked.get(sys.argv[1]) if len(sys.argv) > 1 else None
    n = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 1000
    start = time.perf_counter()
    (which or table)(n)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
