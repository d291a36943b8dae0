"""How often 95 % intervals of calibration hold the true value, of honest and of too sure probabilities.

Result    calibration error 96.5 to 99.6 %, reliability 90.9 to 97.7 %, resolution 90.7 to 95.4 %; percentiles hold the
          calibration error and the reliability of a calibrated family never; 461 s on a busy machine
Hardware  two cores of an AMD EPYC, no GPU, other work running beside it
n         1,000 simulated studies for each line
Run       python benchmarks/calibration_coverage.py [studies]
          python benchmarks/calibration_coverage.py tried [studies]
          python benchmarks/calibration_coverage.py bars [studies]

The studies are simulated: each patient has 2 to 10 rows, whose stated probabilities and whose outcomes are alike. What
is true of the probability p is that of the log odds `slope` times its own: with 1 the family is calibrated, with less
it is too sure. The true values are integrals over all rows that there could be. The first call prints its
table of docs/explanation/interval-coverage.md, the other what was held against the shown interval, for
docs/decisions/0027-intervals-from-chance-up.md, and the last what the bars of a calibration curve cover.
"""

from __future__ import annotations

import sys
import time

import covered
import numpy as np
import polars as pl
from scipy.special import expit, ndtr, ndtri

from grandrounds.evaluate import METRICS
from grandrounds.evaluate.bca import bca
from grandrounds.evaluate.bootstrap import interval, left_out, resample
from grandrounds.evaluate.bounds import bounds
from grandrounds.evaluate.carriers import Carriers
from grandrounds.evaluate.cohort import Cohort, Group
from grandrounds.evaluate.counting import N_BINS
from grandrounds.evaluate.curves import curves
from grandrounds.tables import Task

TASK = Task(kind="binary", classes=("no", "yes"), positive="yes")
ENTRIES = tuple(METRICS.get(name) for name in ("ece", "brier_reliability", "brier_resolution"))
SPREAD, ALIKE = 1.5, 0.3  # standard deviation of the stated log odds; correlation of a patient's outcomes
GRID = 200_000  # points of the integrals
DRAWS = 500
SLOPES, N_PATIENTS = (1.0, 0.85, 0.7, 0.4), (20, 50, 200, 1000)
NEAR_END = 0.2


def truth_of(slope):
    """Return the true calibration error, Brier reliability and Brier resolution, (3,)."""
    odds = SPREAD * ndtri((np.arange(GRID) + 0.5) / GRID)
    stated, true = expit(odds), expit(slope * odds)
    called = np.maximum(stated, 1 - stated)
    gap = np.bincount(_bin(called), called - np.where(stated >= 0.5, true, 1 - true), N_BINS) / GRID
    lost = 0.0
    for one, other in ((stated, true), (1 - stated, 1 - true)):
        share = np.bincount(_bin(one), minlength=N_BINS) / GRID
        apart = np.bincount(_bin(one), one - other, N_BINS) / GRID
        lost += np.sum(apart[share > 0] ** 2 / share[share > 0])
    brier = 2 * np.mean(true * (1 - stated) ** 2 + (1 - true) * stated**2)
    uncertainty = 2 * true.mean() * (1 - true.mean())
    return np.array([np.abs(gap).sum(), lost, uncertainty + lost - brier])


def _bin(probability):
    return np.minimum((probability * N_BINS).astype(int), N_BINS - 1)


def study(seed, slope, n_patients):
    """Return a cohort of one family."""
    rng = np.random.default_rng([n_patients, seed])
    patient = np.repeat(np.arange(n_patients), rng.integers(2, 11, size=n_patients))
    alike = [
        np.sqrt(part) * rng.normal(size=n_patients)[patient] + np.sqrt(1 - part) * rng.normal(size=len(patient))
        for part in (0.5, ALIKE)
    ]
    odds = SPREAD * alike[0]
    label = (ndtr(alike[1]) < expit(slope * odds)).astype(np.int64)
    probs = np.stack([1 - expit(odds), expit(odds)], axis=1)
    group = Group("family", 0, 0, 0, label, probs, patient, tuple(f"s{i}" for i in range(len(patient))))
    return Cohort(TASK, tuple(f"p{i}" for i in range(n_patients)), (group,))


def coverage(n, slope, n_patients, *, draws=DRAWS):
    """Return the share of n studies whose intervals hold the truth, (metrics, methods)."""
    return covered.coverage(n, lambda seed: study(seed, slope, n_patients), ENTRIES, truth_of(slope), draws)


def tried(seed, slope, n_patients):
    """Return intervals of the calibration error by method, the shown one first."""
    cohort = study(seed, slope, n_patients)
    drawn = resample(cohort, DRAWS, seed, metrics=ENTRIES[:1], threads=1)
    value, values = drawn.estimate[0, 0], drawn.values[0, 0]
    (low, high), lift = interval(values), values.mean() - value
    shown = bounds(drawn, 0, 0, Carriers.of(cohort, "family"))
    half = 1.96 * values.std()
    return {
        "shown": shown, "percentiles": (low, high),
        "reflected": (max(2 * value - high, 0), max(2 * value - low, 0)),
        "less the lift": (max(low - lift, 0), max(high - lift, 0)),
        "less twice the lift": (max(low - 2 * lift, 0), max(high - 2 * lift, 0)),
        "normal less the lift": (max(value - lift - half, 0), max(value - lift + half, 0)),
        "BCa": bca(value, values, left_out(cohort, metrics=ENTRIES[:1], threads=1)[0, 0]),
        "from chance to the percentile": (shown[0], high),
        "from chance to the reflected": (shown[0], max(2 * value - low, value)),
    }  # fmt: skip


def coverage_of_tried(n, slope, n_patients):
    """Return for each method the share of n studies that hold the truth, and the mean width."""
    truth, found = truth_of(slope)[0], [tried(seed, slope, n_patients) for seed in range(n)]
    ends = np.array([[*one.values()] for one in found])  # (n, methods, 2)
    shares = ((ends[..., 0] <= truth) & (truth <= ends[..., 1])).mean(axis=0)
    return dict(zip(found[0], zip(shares, np.diff(ends)[..., 0].mean(axis=0), strict=True), strict=True))


def table(n):
    """Print what is shown and what percentiles cover."""
    heads = [
        f"{words}, {method}"
        for words in ("calibration error", "reliability", "resolution")
        for method in covered.METHODS
    ]
    print("| true calibration error | patients | " + " | ".join(heads) + " |")
    print("|---|---|" + "---:|" * len(heads))
    for slope in SLOPES:
        for n_patients in N_PATIENTS:
            cells = " | ".join(f"{one:.1%}".replace("%", " %") for one in coverage(n, slope, n_patients).ravel())
            print(f"| {truth_of(slope)[0]:.3f} | {n_patients} | {cells} |", flush=True)


def table_of_tried(n):
    """Print what each interval covered at least, at most, of a calibrated family, and how wide it was."""
    found = {
        (slope, n_patients): coverage_of_tried(n, slope, n_patients) for slope in SLOPES for n_patients in N_PATIENTS
    }
    print("| interval | of a calibrated family | of one that is too sure | mean width |")
    print("|---|---:|---:|---:|")
    for method in found[SLOPES[0], N_PATIENTS[0]]:
        calibrated, others = (
            [one[method][0] for (slope, _), one in found.items() if (slope == 1) == alike] for alike in (True, False)
        )
        width = np.mean([one[method][1] for one in found.values()])
        spans = [f"{min(one):.1%} to {max(one):.1%}".replace("%", " %") for one in (calibrated, others)]
        print(f"| {method} | {spans[0]} | {spans[1]} | {width:.3f} |", flush=True)


def held_by_bars(seed, n_patients):
    """Return for each bar of a calibrated family whether it holds what was stated, all bars and those near the ends."""
    bars = curves(study(seed, SLOPES[0], n_patients), seed)
    bars = bars.filter(curve="calibration", label="yes")
    held = bars.select((pl.col("low") <= pl.col("x")) & (pl.col("x") <= pl.col("high"))).to_series().to_numpy()
    return held, held[(bars["x"] < NEAR_END) | (bars["x"] > 1 - NEAR_END)]


def table_of_bars(n):
    """Print the share of bars that hold what a calibrated family states."""
    print("| patients | all bars | bars below 0.2 or above 0.8 |")
    print("|---|---:|---:|")
    for n_patients in N_PATIENTS:
        found = [held_by_bars(seed, n_patients) for seed in range(n)]
        shares = [f"{np.concatenate(one).mean():.1%}".replace("%", " %") for one in zip(*found, strict=True)]
        print(f"| {n_patients} | {shares[0]} | {shares[1]} |", flush=True)


def main():
    asked = {"tried": table_of_tried, "bars": table_of_bars}
    which = asked.get(sys.argv[1]) if len(sys.argv) > 1 else None
    n = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 1000
    start = time.perf_counter()
    (which or table)(n)
    print(f"\n{n} studies a line, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
