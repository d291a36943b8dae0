"""What the demonstration costs: minutes, and the memory of its whole family of processes.

    python benchmarks/demo.py

Result:    144 s, 1.96 GiB
Hardware:  two cores of an Intel Xeon
n:         1

Targets on two cores: within 5 minutes after set-up, peak memory within 2 GiB. Memory is the sum of the proportional
set sizes (pages shared between processes count once), sampled twice a second.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

LIMIT_S, LIMIT_GIB = 300, 2.0


def memory_gib(process: psutil.Process) -> float:
    """Return the proportional memory of a process and everything that it started, in GiB."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**30


def measure(folder: Path) -> tuple[float, float]:
    """Return the seconds and the peak memory of one demonstration."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "grandrounds", "demo", "-o", str(folder)])
    while process.poll() is None:
        peak = max(peak, memory_gib(psutil.Process(process.pid)))
        time.sleep(0.5)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - started, peak


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        took_s, peak_gib = measure(Path(folder) / "demo")
    print(f"demonstration: {took_s:.0f} s (target {LIMIT_S}), peak {peak_gib:.2f} GiB (target {LIMIT_GIB}), n = 1")
