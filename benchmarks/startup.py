"""How long a newcomer waits for help and lists: median of fresh processes.

    python benchmarks/startup.py

Targets: `grandrounds --help` within 0.5 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = (["--help"], ["run", "--help"], ["list", "families"], ["list", "audits"])
REPEATS = 7


def seconds(arguments: list[str]) -> list[float]:
    """Return the wall-clock seconds of fresh processes, the first (cold) one left out."""
    taken = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "grandrounds", *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return taken[1:]


if __name__ == "__main__":
    print(f"{'command':28} {'median s':>9} {'least':>7} {'most':>7}   n = {REPEATS}")
    for arguments in COMMANDS:
        taken = seconds(arguments)
        name = " ".join(["grandrounds", *arguments])
        print(f"{name:28} {statistics.median(taken):9.2f} {min(taken):7.2f} {max(taken):7.2f}")
