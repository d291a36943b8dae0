"""How long clustered DeLong takes on 100,000 cases, and the report of ten families on one task and on three.

Result    clustered DeLong, 10 families × 100,000 cases: 0.33 s (target 2)
          report of ten families from their predictions: 8.7 s (target 15), a page of 0.38 MB
          the same for three tasks: 30 processor seconds, 60 s under a load of 7, a page of 1.2 MB
Hardware  two cores of an Intel Xeon, no GPU; the first two with one other busy process
n         medians of 3 runs
Run       python benchmarks/judging.py

The numbers are simulated. The study has 10 families, 5 folds, 1,000 samples of 200 patients in test and 300 of them in
valid, and is judged with the default 10,000 resamples; the report is then written from its tables once more.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from grandrounds import api
from grandrounds.evaluate.delong import areas

N_FAMILIES, N_CASES, N_OWNERS = 10, 100_000, 20_000
N_SAMPLES, N_PATIENTS, N_FOLDS, N_VALID = 1_000, 200, 5, 60
N_RUNS, N_TASKS = 3, 3


def cases():
    """Return scores (F, N), truth and patients."""
    rng = np.random.default_rng(0)
    patient = np.arange(N_CASES) % N_OWNERS
    truth = rng.integers(2, size=N_OWNERS)[patient] == 1
    return rng.normal(size=(N_FAMILIES, N_CASES)) + truth + rng.normal(size=N_OWNERS)[patient], truth, patient


def study():
    """Return the predictions of ten families on test and on valid."""
    rng = np.random.default_rng(0)
    patient = np.arange(N_SAMPLES) % N_PATIENTS
    truth, fold = rng.integers(2, size=N_PATIENTS)[patient], patient % N_FOLDS
    frames = []
    for family in range(N_FAMILIES):
        for role, shift in (("test", 0), ("valid", 1)):
            rows = np.arange(N_SAMPLES) if role == "test" else np.flatnonzero(patient % N_PATIENTS < N_VALID)
            score = 1 / (1 + np.exp(-(rng.normal(size=len(rows)) + (1 + 0.05 * family) * (2 * truth[rows] - 1))))
            columns = {
                "sample": [f"s{i}" for i in rows], "patient": [f"p{i}" for i in patient[rows]],
                "fold": (fold[rows] + shift) % N_FOLDS, "label": np.array(["no", "yes"])[truth[rows]],
                "prob_no": 1 - score, "prob_yes": score,
            }  # fmt: skip
            frames.append(pl.DataFrame(columns).with_columns(family=pl.lit(f"family-{family}"), role=pl.lit(role)))
    return pl.concat(frames)


def timed(work):
    """Return the median wall and processor seconds of three runs, after one that compiles."""
    work()
    runs = []
    for _ in range(N_RUNS):
        wall, used = time.perf_counter(), time.process_time()
        work()
        runs.append((time.perf_counter() - wall, time.process_time() - used))
    return np.median(runs, axis=0)


def main():
    scores, truth, patient = cases()
    wall_s, used_s = timed(lambda: areas(scores, truth, patient))
    print(f"clustered DeLong, {N_FAMILIES} families x {N_CASES} cases of {N_OWNERS} patients: "
          f"{wall_s:.2f} s, {used_s:.2f} processor seconds")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        one = study()
        several = pl.concat(one.with_columns(task=pl.lit(f"task {turn}")) for turn in range(N_TASKS))
        for what, frame in ((f"{N_FAMILIES} families", one), (f"{N_FAMILIES} families and {N_TASKS} tasks", several)):
            path = Path(folder) / "predictions.parquet"
            frame.write_parquet(path)
            wall_s, used_s = timed(lambda path=path: api.rereport(path))
            size_mb = (Path(folder) / "predictions" / "report.html").stat().st_size / 1e6
            print(f"report of {what} from their predictions: {wall_s:.1f} s, {used_s:.1f} processor seconds, "
                  f"a page of {size_mb:.2f} MB")  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f} in the last minute on {os.cpu_count()} cores, {sys.platform}")


if __name__ == "__main__":
    main()
