"""How near the difference that a report calls detectable is to the one that such studies show in four of five.

Result    called detectable with 10 to 120 patients who have the finding, AUC 0.75 to 0.99: 0.93 to 1.11 times what four
          of five studies show, and 2.4 times with 12 of 60 and 0.99; by the error alone 0.24 to 0.94 times
          about 12 minutes beside other work
Hardware  two cores of an AMD EPYC, no GPU
n         200 simulated studies for each number
Run       python benchmarks/detectable.py [studies]

Each study compares two families that are equal in truth, and says what it could have shown. What it would show is
counted: from the same AUC down, the difference at which four studies of five call the families apart. Beside what the
report says is what the standard error alone would say, whatever the AUC. Prints a table of
docs/explanation/verdicts.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from two_families import AUC, side_by_side

from grandrounds.evaluate.compare import compare
from grandrounds.evaluate.power import POWER, detectable

SETTINGS = ((60, 12), (200, 10), (200, 40), (240, 120))  # patients, of whom so many have the finding
AREAS = (0.99, 0.9, 0.75)
STEPS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3)


def compared(seed, n_patients, n_ill, areas):
    """Return the row that decides on two families of these AUCs, and their values, in one simulated study."""
    cohort, pairs = side_by_side(seed, n_patients, n_ill, areas)
    return compare(cohort, pairs, AUC, 0.0).row(0, named=True), (pairs[0].one.value, pairs[0].other.value)


def said(n, n_patients, n_ill, area):
    """Return what n studies of equal families call detectable, and what the error alone makes of it, (2, n)."""
    found = [compared(seed, n_patients, n_ill, (area, area)) for seed in range(n)]
    known = [(row["error"], n_patients, 1, values) for row, values in found if row["error"]]
    return np.array([[detectable(*one) for one in known], [detectable(*one[:3]) for one in known]])


def true(n, n_patients, n_ill, area):
    """Return the difference that four of five studies show, between two steps in proportion; NaN beyond all."""
    steps, shares = [0.0], [0.0]
    for step in (one for one in STEPS if area - one >= 0.5):
        rows = (compared(n + seed, n_patients, n_ill, (area, area - step))[0] for seed in range(n))
        steps.append(step)
        shares.append(max(float(np.mean([row["verdict"] == "better" for row in rows])), shares[-1]))
        if shares[-1] >= POWER:
            return float(np.interp(POWER, shares[-2:], steps[-2:]))
    return np.nan


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = time.perf_counter()
    print("| ill of patients | AUC | shown in four of five | called detectable | by the error alone |")
    print("|---|---:|---:|---:|---:|")
    for n_patients, n_ill in SETTINGS:
        for area in AREAS:
            one = true(n, n_patients, n_ill, area)
            cells = [f"{np.median(row):.3f} ({np.quantile(row, 0.1):.3f} to {np.quantile(row, 0.9):.3f})"
                     for row in said(n, n_patients, n_ill, area)]  # fmt: skip
            counted = "none" if np.isnan(one) else f"{one:.3f}"
            print(f"| {n_ill} of {n_patients} | {area} | {counted} | {' | '.join(cells)} |", flush=True)
    print(f"\n{n} studies for each number, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
