"""How long `grandrounds inspect` takes on 10,000 small images, part by part.

Result    57.0 s in all beside other work at load 9.3 (target 60), 24.1 s of a core; of these near duplicates 13.0 (all
          100 copies found) and probes 2.0; page 0.25 MB
Hardware  two cores of an Intel Xeon, no GPU, much other work
n         10,000 files, 64 × 64 pixels, 8-bit PNG, 2,500 patients, one run
Run       python benchmarks/inspection.py [images]

The images are simulated tissue-like noise; one in a hundred is a crop of another.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from grandrounds import api, data
from grandrounds.data import contact_sheet, fingerprint, glance, grouping, inspection, near
from grandrounds.study import probes


def write(folder, n):
    """Write the images and their table, and return the table."""
    rng, rows = np.random.default_rng(0), []
    for index in range(n):
        noise = rng.normal(0, 1, (64, 64)).astype(np.float32)
        image = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.5, 4.0)) * 60 + 128
        image = np.clip(image, 0, 255).astype(np.uint8)
        if index % 100 == 99:
            image = cv2.imread(str(folder / f"{index - 50}.png"), 0)[2:, 3:]
        cv2.imwrite(str(folder / f"{index}.png"), image)
        rows.append((f"{index}.png", "ab"[index % 2], f"P{index // 4}", f"site {index % 3}", "FM"[index // 4 % 2]))
    table = folder / "table.csv"
    pl.DataFrame(rows, schema=["image", "label", "patient", "site", "sex"], orient="row").write_csv(table)
    return table


def timed(what, work):
    start, start_cpu = time.perf_counter(), time.process_time()
    found = work()
    took_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"{what:<28}{took_s:>8.1f} s {cpu_s:>8.1f} s of a core", flush=True)
    return found


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write(folder, n)
        start = time.perf_counter()
        dataset = timed("read and hash", lambda: data.open_dataset(table))
        seen = timed("look again", lambda: glance.glances(dataset))
        timed("fingerprint", lambda: fingerprint.fingerprint(dataset))
        hashes = dict(dataset.samples.select("sample", "sha256").iter_rows())
        found = timed("near duplicates", lambda: near.near_duplicates(seen, hashes))
        print(f"{'':<28}{found.height:>8} pairs of {n // 100} planted")
        timed("groupings", lambda: grouping.groupings(dataset, []))
        timed("tables and histograms", lambda: inspection.spread(dataset))
        timed("contact sheet", lambda: contact_sheet.contact_sheet(dataset))
        timed("shortcut probes", lambda: probes.probe(dataset, seen))
        print(f"{'sum of the parts':<28}{time.perf_counter() - start:>8.1f} s")
        timed("grandrounds inspect, all", lambda: api.inspect(table, page=folder / "page.html"))
        print(f"{'load in the last minute':<28}{os.getloadavg()[0]:>8.1f} on {os.cpu_count()} cores")
        print(f"{'page':<28}{(folder / 'page.html').stat().st_size / 1e6:>8.2f} MB")


if __name__ == "__main__":
    main()
