"""Which learning rate, weight decay and batch size suit a family on a set: every choice made on train and valid.

Run with `python benchmarks/sweep.py SOURCE FAMILY [NAME=VALUES ...]`, for example

    python benchmarks/sweep.py breastmnist.npz resnet-18 learning_rate=1e-3,3e-3,1e-2 weight_decay=0.01,0.05

Each combination is trained with each of three seeds; printed is the metric that chooses epochs, on valid, at the best
epoch, and the seconds. The test role is neither read nor predicted. Where the set has no official valid role, one is
drawn from train by patient.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import polars as pl

from grandrounds import data, families, prepare, seeds, splits
from grandrounds.families.protocol import Budget, View
from grandrounds.training.epoch import Epoch

N_SEEDS = 3


def views(source: str, folder: Path) -> tuple[View, View]:
    """Return train and valid of the first fold, prepared as a study would."""
    opened = data.open_dataset(source)
    cases = opened.samples.select("case", "patient").unique(maintain_order=True)
    cases = cases.join(opened.labels.select("case", "label"), on="case", maintain_order="left")
    if opened.official is None:
        cases = cases.with_columns(role=pl.lit(None, dtype=pl.String()))
    else:
        cases = cases.join(opened.official, on="case", how="left", maintain_order="left")
    plan = splits.draw(cases, splits.SplitSpec(), seeds.derive(0, "splits"), fingerprint=opened.fingerprint)
    pipeline, _ = prepare.default_pipeline(opened.samples, opened.grey_range)
    pixels = prepare.materialise(opened.samples, opened.files, pipeline, folder).pixels
    roles = plan.roles(next(iter(plan.folds())))
    rows = opened.samples.with_row_index("row").join(cases.select("case", "label"), on="case", maintain_order="left")
    rows = rows.join(roles, on="case", how="left", maintain_order="left")
    return _view(opened, pixels, rows, "train"), _view(opened, pixels, rows, "valid")


def _view(opened: data.Dataset, pixels: np.ndarray, rows: pl.DataFrame, role: str) -> View:
    part = rows.filter(role=role)
    index = {name: k for k, name in enumerate(opened.task.classes)}
    labels = np.array([index[label] for label in part["label"]])
    samples = part.drop("row", "label", "role")
    return View(np.asarray(pixels[part["row"].to_numpy()]), samples, labels, opened.task, opened.flips)


def values(text: str) -> tuple[str, list[object]]:
    """Return a parameter's name and the values to try."""
    name, _, tried = text.partition("=")
    return name, [tomllib.loads(f"x = {value}")["x"] if value[0] in "0123456789.-tf" else value
                  for value in tried.split(",")]  # fmt: skip


def trained(family: str, params: dict[str, object], train: View, valid: View) -> tuple[float, float, float, float]:
    """Return mean and deviation over seeds of the best epoch's metric on valid, its mean epoch and the seconds."""
    scores, epochs, began = [], [], time.perf_counter()
    for seed in range(N_SEEDS):
        told: list[Epoch] = []
        family_spec = families.params_of(family, params)
        budget = Budget(epochs=getattr(family_spec, "max_epochs", 1), threads=1)
        families.build(family, params).fit(train, valid, budget, seeds.derive(seed, "sweep"), told.append)
        best = max(told, key=lambda epoch: (epoch.valid_metric, epoch.epoch))
        scores.append(best.valid_metric)
        epochs.append(best.epoch)
    seconds = (time.perf_counter() - began) / N_SEEDS
    return statistics.mean(scores), statistics.stdev(scores), statistics.mean(epochs), seconds


def main() -> None:
    """Print one line per combination, the best last."""
    source, family, *given = sys.argv[1:]
    grid = dict(values(text) for text in given)
    with tempfile.TemporaryDirectory() as folder:
        train, valid = views(source, Path(folder))
        print(
            f"{family} on {source}: {len(train.pixels)} train, {len(valid.pixels)} valid, {N_SEEDS} seeds", flush=True
        )
        lines = []
        for combination in itertools.product(*grid.values()):
            params = dict(zip(grid, combination, strict=True))
            mean, sd, epoch, seconds = trained(family, params, train, valid)
            lines.append((mean, f"valid {mean:.4f} (SD {sd:.4f}), epoch {epoch:.0f}, {seconds:.0f} s: {params}"))
            print(lines[-1][1], flush=True)
    print("best:", max(lines)[1])


if __name__ == "__main__":
    main()
