"""Trials side by side: two trials of one thread each in parallel against the same two in turn with two threads each.

Result    side by side 1.54 times as fast for li2014, 1.12 for resnet-18, 1.44 for vit-tiny
Hardware  two cores of an Intel Xeon, load 2, which is the benchmark's own
n         medians of 5 interleaved pairs

Run with `python benchmarks/side_by_side.py [FAMILY ...]`, by default li2014, resnet-18 and vit-tiny. Printed are the
seconds for both trials, medians of interleaved repetitions, and how many times as fast side by side is. Whatever a
study is run with, its table of trials has the threads of each trial.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import Executor

from grandrounds import families
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget
from grandrounds.processes import fresh

SHAPE, N_TRAIN, N_VALID, N_CLASSES, N_EPOCHS, REPETITIONS = (1, 32, 32), 1024, 128, 5, 2, 5


def fit(name: str, threads: int, seed: int) -> None:
    """Train one network on random images."""
    train, valid = noise_view(SHAPE, N_TRAIN, N_CLASSES), noise_view(SHAPE, N_VALID, N_CLASSES, seed=1)
    families.build(name).fit(train, valid, Budget(epochs=N_EPOCHS, threads=threads), seed, lambda _: None)


def abreast_s(executor: Executor, name: str) -> float:
    """Return the seconds of two trials in two processes, one thread each."""
    began = time.perf_counter()
    for future in [executor.submit(fit, name, 1, seed) for seed in (0, 1)]:
        future.result()
    return time.perf_counter() - began


def in_turn_s(executor: Executor, name: str) -> float:
    """Return the seconds of two trials one after the other, two threads each."""
    began = time.perf_counter()
    for seed in (0, 1):
        executor.submit(fit, name, 2, seed).result()
    return time.perf_counter() - began


def main(names: list[str]) -> None:
    print(f"{N_TRAIN} images of {SHAPE}, {N_EPOCHS} passes, two trials, {REPETITIONS} interleaved repetitions")
    print(f"{'family':14}{'side by side s':>16}{'in turn s':>12}{'times as fast':>15}")
    with fresh(2) as executor:
        for name in names:
            abreast_s(executor, name), in_turn_s(executor, name)  # warm-up: both processes import
            pairs = [(abreast_s(executor, name), in_turn_s(executor, name)) for _ in range(REPETITIONS)]
            abreast, in_turn = (statistics.median(one) for one in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"{name:14}{abreast:16.2f}{in_turn:12.2f}{ratio:15.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["li2014", "resnet-18", "vit-tiny"])
