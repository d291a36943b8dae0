"""Minutes for a whole ILD ladder: 16,220 patches of 32×32 pixels, five classes, ten folds by patient.

Result    25.6 minutes for ten folds (aim 30): sift-svm 7.0, lbp-svm 0.9, rbm-svm 4.3, li2014 13.4
          with the recipe of li2014 54.2: sift-svm 8.2, lbp-svm 0.9, rbm-svm 4.3, li2014 40.8
          the same on another machine 29.0: sift-svm 3.4, lbp-svm 0.5, rbm-svm 2.2, li2014 22.8
          a pass of li2014 with batches of 32 takes 0.66 of the recipe's, of 64 0.54; with SGD 0.93, in mixed precision
          3.17
Hardware  two cores of an AMD EPYC without other work, with the recipe beside a minute of checks; the other an Intel
          Xeon
n         all ten folds, on the Xeon two, from which the minutes for ten are worked out; medians of 5 turns on the EPYC

Run with `python benchmarks/ild_ladder.py [PART [recipe]]`. PART is the share of the ten folds that is really run, 0.2
by default; the minutes for ten are worked out from it. The families are SIFT, LBP and RBM with a support vector
machine, and Li-2014 in 40 passes with batches of 32, which on simulated patches and with the rate and decay of the
sweeps (docs/explanation/which-family-when.md) is equivalent to the 80 passes with batches of 16 that `recipe` takes.
The patches are noise that was smoothed more or less, each of a patient of its own: this measures time and says nothing
about quality. Two folds run side by side, one thread each. `python benchmarks/ild_ladder.py tried` trains li2014 for a
few passes in other ways, in turns, on one thread, and prints what each takes of its recipe's time.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from grandrounds import families, seeds
from grandrounds.families.price import noise_view
from grandrounds.families.protocol import Budget, View
from grandrounds.processes import fresh

N_PATCHES, N_FOLDS, N_CLASSES, SIDE_PX = 16_220, 10, 5, 32
VALID_SHARE = 0.15  # of what is not tested
LADDER = ("sift-svm", "lbp-svm", "rbm-svm", "li2014")
CHEAPER: dict[str, object] = {"batch_size": 32, "max_epochs": 40}
TRIED: tuple[dict[str, object], ...] = (
    {}, {"batch_size": 32}, {"batch_size": 64}, {"optimiser": "sgd"}, {"precision": "mixed"},
)  # fmt: skip
N_TRIED, TURNS = 4_000, 5


def patches(n: int, seed: int) -> View:
    """Return patches whose texture depends on the class: noise that was smoothed more or less."""
    view = noise_view((1, SIDE_PX, SIDE_PX), n, N_CLASSES, seed)
    pixels = np.array(view.pixels)
    for grade in range(1, N_CLASSES):
        rows = view.labels >= grade
        pixels[rows] = (pixels[rows] + np.roll(pixels[rows], 1, axis=2) + np.roll(pixels[rows], 1, axis=3)) / 3
    return replace(view, pixels=pixels, flips=False)


def fold_s(name: str, params: dict[str, object], fold: int) -> float:
    """Return the seconds of one fold: fitting on nine tenths, predicting the tenth."""
    n_test = N_PATCHES // N_FOLDS
    n_valid = round(VALID_SHARE * (N_PATCHES - n_test))
    train, valid, test = (
        patches(n, seeds.derive(fold, "ladder", part=part))
        for part, n in enumerate((N_PATCHES - n_test - n_valid, n_valid, n_test))
    )
    budget = Budget(epochs=getattr(families.params_of(name, params), "max_epochs", 1))
    began = time.perf_counter()
    families.build(name, params).fit(train, valid, budget, fold, lambda _: None).predict(replace(test, labels=None))
    return time.perf_counter() - began


def pass_s(params: dict[str, object]) -> float:
    """Return the seconds of one pass of li2014 over some patches, what happens once left out."""
    train, valid = patches(N_TRIED, 0), patches(N_TRIED // 10, 1)
    seconds = []
    for passes in (1, 3):
        began = time.perf_counter()
        families.build("li2014", params).fit(train, valid, Budget(epochs=passes), 0, lambda _: None)
        seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / 2


def tried() -> None:
    """Print what a pass takes in other ways, against the recipe in the same turn."""
    turns = [[pass_s(params) for params in TRIED] for _ in range(TURNS)]
    print(f"a pass of li2014 over {N_TRIED} patches, one thread, medians of {TURNS} turns")
    for at, params in enumerate(TRIED):
        share = np.median([turn[at] / turn[0] for turn in turns])
        print(f"{params or 'recipe'!s:28}{np.median([turn[at] for turn in turns]):8.2f} s{share:8.2f} of the recipe's")


def main(part: float, li2014: dict[str, object]) -> None:
    n_folds = max(2, round(part * N_FOLDS))  # two side by side, as a study runs them
    total_min = 0.0
    print(f"{N_PATCHES} patches of {SIDE_PX}×{SIDE_PX}, {N_FOLDS} folds, of which {n_folds} are run, two side by side")
    print(f"{'family':10}{'s a fold':>10}{'min for ten':>13}")
    with fresh(2) as executor:
        for name in LADDER:
            began = time.perf_counter()
            params = li2014 if name == "li2014" else {}
            seconds = [one.result() for one in [executor.submit(fold_s, name, params, fold) for fold in range(n_folds)]]
            minutes = (time.perf_counter() - began) / 60 * N_FOLDS / n_folds
            total_min += minutes
            print(f"{name:10}{np.median(seconds):10.1f}{minutes:13.1f}", flush=True)
    print(f"{'all':10}{'':10}{total_min:13.1f}")


if __name__ == "__main__" and sys.argv[1:] == ["tried"]:
    tried()
elif __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.2, {} if "recipe" in sys.argv else CHEAPER)
