"""How long a table of a million images takes to open, split and audit, and how much memory; no pixel is read.

    python benchmarks/manifest.py [images]

Result    19.7 s on the clock, 29.1 s of a core, 1,847 MiB on a machine to itself (targets 30 s and 2 GiB); 1,583 to
          1,860 MiB in seven runs before, 2,049 before patients in roles were counted by number and rows that occur
          twice looked for by hash; 107.2 s at load 8.8. Before every file and patient was looked at once only, opening
          and drawing took 395 s
Hardware  two cores of an Intel Xeon
n         1,000,000 rows, one run

Targets: 30 s and 2 GiB for 1,000,000 rows. The table is simulated: four images a patient, two sites, an image in 10,000
twice. A fresh process opens the CSV, checks the tables as they stand in a run folder, draws five folds by patient, and
runs every audit that needs no predictions.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

N_PATIENT_IMAGES, TARGET_S, TARGET_MIB = 4, 30, 2048


def write(folder, n):
    """Write the table of n images, all of them frames of one small file, so that no folder of a million is needed."""
    rng, index = np.random.default_rng(0), pl.int_range(n, eager=True)
    np.save(folder / "all.npy", np.zeros((1, 4, 4), np.uint8))
    patient = index // N_PATIENT_IMAGES
    pl.DataFrame({
        "image": ["all.npy"] * n, "frame": index, "sample": pl.select(pl.format("S{}", index)).to_series(),
        "patient": pl.select(pl.format("P{}", patient)).to_series(),
        "label": np.array(["benign", "malignant", "normal"])[rng.integers(0, 3, n // N_PATIENT_IMAGES + 1)[patient]],
        "site": np.array(["north", "south"])[rng.integers(0, 2, n)], "age": rng.integers(20, 90, n),
    }).write_csv(folder / "table.csv")  # fmt: skip


def work(folder):
    """Open, split, audit; print what each took."""
    from grandrounds import audits, splits, tables
    from grandrounds.data import SourceOptions
    from grandrounds.data.opening import draft_of
    from grandrounds.tables import FILES, LABELS, SAMPLES, Task

    base_mib, started = peak_mib(), time.perf_counter()
    rows = draft_of(folder / "table.csv", SourceOptions()).rows
    rows = rows.with_columns(pl.coalesce("case", "sample").alias("case"))
    # What reading the pixels would have told.
    known = rows.select("sample", "case", "patient", "site", "age").with_columns(
        pl.lit(64).alias("height_px"), pl.lit(64).alias("width_px"), pl.lit(1).alias("depth_px"),
        (pl.int_range(pl.len()) - (pl.int_range(pl.len()) % 10_000 == 1).cast(pl.Int64())).cast(pl.String()).alias(
            "sha256"
        ),
    )  # fmt: skip
    samples, files = tables.check(known, SAMPLES), tables.check(rows.select("sample", "path", "frame"), FILES)
    labels = tables.check(rows.select("case", "label").with_columns(task=pl.lit("label")), LABELS)
    opened = lap("open and check", started)
    cases = rows.select("case", "patient", "label")
    plan = splits.draw(cases, splits.SplitSpec(scheme="kfold"), 0, fingerprint="simulated")
    drawn = lap("draw five folds", opened)
    task = Task(classes=tuple(sorted(labels["label"].unique())))
    found = audits.run(audits.AuditTables(samples, files, labels, plan.table, task=task, patient_known=True))
    lap("audit", drawn)
    told = found.filter(pl.col("outcome") != "not applicable")
    for name, outcome, sentence in told.select("audit", "outcome", "sentence").iter_rows():
        print(f"  {name} {outcome}: {sentence}")
    print(
        f"{'in all':<20}{time.perf_counter() - started:>8.1f} s (target {TARGET_S}), {cpu_s():.1f} s of a core, peak "
        f"{peak_mib():.0f} MiB (target {TARGET_MIB}; {base_mib:.0f} before), load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores"
    )


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def lap(what, since):
    now = time.perf_counter()
    print(f"{what:<20}{now - since:>8.1f} s, {cpu_s():>6.1f} s of a core so far, peak {peak_mib():.0f} MiB", flush=True)
    return now


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        for target, arguments in ((write, (Path(folder), n)), (work, (Path(folder),))):
            process = context.Process(target=target, args=arguments)
            process.start()
            process.join()
    print(f"n = {n:,} images")


if __name__ == "__main__":
    main()
