"""Volumes: slices a second of a network on stacks against the same network on single images, and memory by exams.

Result    resnet-18 reads slices of stacks at 0.87 of the speed of single images on a machine to itself, at 0.93 and
          once at 0.79 beside other work (loads of 8 and 12); peaks of 833, 838 and 832 MiB
          With --whole, slices:resnet-18 peaks at 3,006 MiB and monai:resnet10 at 8,788 MiB, each batch of four stacks
          read in four parts
Hardware  one of two threads of an Intel Xeon
Versions  torch 2.14.1
n         medians of 5 interleaved pairs; one process for each number of exams

Run with `python benchmarks/volumes.py [NETWORK ...]`, by default resnet-18. Stacks of 16 slices of 64 pixels are read
from a file of prepared volumes, batch by batch, the single images lie in memory; batches hold as many slices. Both
are changed at random as their recipes say. Peaks are of a process that trains one pass on so many exams and predicts.
With `--whole`, networks make one pass over stacks as large as the knee networks of the literature read.
"""

from __future__ import annotations

import dataclasses
import re
import statistics
import subprocess
import sys
import tempfile
import time
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget, View
from grandrounds.prepare import PreparedArray

N_SLICES, SIDE_PX, N_STACKS, BATCH, REPETITIONS = 16, 64, 16, 8, 5
EXAMS = (50, 100, 200)
WHOLE, N_WHOLE, BATCH_OF_WHOLE = (36, 448, 448), 8, 4


def stored(folder: Path, n: int, space: tuple[int, ...] = (N_SLICES, SIDE_PX, SIDE_PX)) -> View:
    """Return a view of random volumes that lie on the disk, written one by one."""
    path = folder / f"{n}.npy"
    shape = (n, 1, *space)
    with path.open("wb") as file:
        npy_format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for row in range(n):
            file.write(np.random.default_rng(row).random(shape[1:], dtype=np.float32).tobytes())
    return dataclasses.replace(noise_view((1, 1, 1), n, 2), pixels=PreparedArray.load(path).chosen(np.arange(n)))


def slices_per_s(name: str, params: dict[str, object], train: View, valid: View, n_slices: int) -> float:
    """Return how many slices the last of two passes read in a second."""
    found: list[float] = []
    family = families.build(name, params)
    family.fit(train, valid, Budget(epochs=2), 0, lambda epoch: found.append(epoch.images_per_s))
    return found[-1] * n_slices


def compare(name: str, folder: Path) -> None:
    """Print the throughput on stacks, on single images, and their ratio."""
    stacks, few = stored(folder, N_STACKS), stored(folder, 2)
    planes, plane = (noise_view((1, SIDE_PX, SIDE_PX), n, 2) for n in (N_STACKS * N_SLICES, 2))

    def pair() -> tuple[float, float]:
        on_stacks = slices_per_s(f"slices:{name}", {"batch_size": BATCH}, stacks, few, N_SLICES)
        return on_stacks, slices_per_s(name, {"batch_size": BATCH * N_SLICES}, planes, plane, 1)

    pairs = [pair() for _ in range(REPETITIONS)]
    on_stacks, alone = (statistics.median(one) for one in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:20}{on_stacks:12.0f}{alone:16.0f}{ratio:10.2f}", flush=True)


def in_a_process(*arguments: str) -> str:
    """Return what this script prints in a process of its own, with these arguments."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def train_on(n: int) -> None:
    """Train on so many exams, predict them, and print the greatest resident memory of this process."""
    with tempfile.TemporaryDirectory() as folder:
        view = stored(Path(folder), n)
        params = {"batch_size": BATCH, "side_px": 8, "of": {"width": 0.125}}
        families.build("slices:nin", params).fit(view, view, Budget(epochs=1), 0, lambda _: None)
    print(peak_mib())


def train_on_whole(name: str) -> None:
    """Train one pass on whole stacks and print the peak, the seconds and what the record says of batches."""
    with tempfile.TemporaryDirectory() as folder:
        train, valid = (stored(Path(folder), n, WHOLE) for n in (N_WHOLE, 2))
        began = time.perf_counter()
        family = families.build(name, {"batch_size": BATCH_OF_WHOLE})
        record = family.fit(train, valid, Budget(epochs=1), 0, lambda _: None).record
    said = " ".join(note for note in record.notes if "memory" in note) or "each batch was read at once"
    print(f"{name:20}{peak_mib():10.0f} MiB{time.perf_counter() - began:8.0f} s   {said}")


def peak_mib() -> float:
    """Return the greatest resident memory that this process had."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else float("nan")


def whole_stacks() -> None:
    """Print what one pass over whole stacks takes."""
    size = "×".join(map(str, WHOLE))
    print(f"{N_WHOLE} stacks of {size} ({N_WHOLE * prod(WHOLE) * 4 / 2**20:.0f} MiB), batches of {BATCH_OF_WHOLE}")
    for name in ("slices:resnet-18", "monai:resnet10"):
        print(in_a_process("--whole-stacks", name), end="", flush=True)


def main(names: list[str]) -> None:
    print(f"{'network':20}{'stacks':>12}{'single images':>16}{'ratio':>10}   slices a second")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            compare(name, Path(folder))
    print(f"\n{'exams':>8}{'pixels MiB':>14}{'peak MiB':>12}")
    for n in EXAMS:
        print(
            f"{n:8}{n * N_SLICES * SIDE_PX**2 * 4 / 2**20:14.0f}{float(in_a_process('--exams', str(n))):12.0f}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--exams"]:
        train_on(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--whole-stacks"]:
        train_on_whole(sys.argv[2])
    elif sys.argv[1:2] == ["--whole"]:
        whole_stacks()
    else:
        main(sys.argv[1:] or ["resnet-18"])
