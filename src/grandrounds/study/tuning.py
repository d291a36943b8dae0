"""Tuning: several recipes of one family, compared on `valid` alone.

The test role is neither read nor predicted, and the ledger does not move. Trials lie in a folder of their own and are
kept like those of a study, so that the same call goes on where it stopped and a wider one trains only what is new.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from grandrounds import families, registry, tables
from grandrounds.errors import BadData
from grandrounds.evaluate.catalogue import METRICS, positive_of, primary_for
from grandrounds.evaluate.metrics import tally
from grandrounds.seeds import derive
from grandrounds.specs import parse
from grandrounds.study.engine import Listener, run_all
from grandrounds.study.space import Tuning, Values
from grandrounds.study.spec import Means, Recipe
from grandrounds.study.trial import Job, Trial
from grandrounds.study.workspace import Workspace
from grandrounds.tables import PROB, Task

PLACE = "recipe"  # which of those that were asked for, from 0: a table may spell a number otherwise
_PART = 3  # the first rung takes a third of the passes and keeps a third of the recipes


class Rung(NamedTuple):
    """One round of tuning.

    Args:
        n_kept: How many of the recipes that enter it are still of interest after it.
        part: Of the passes that each is trained for.
        seeds: With how many seeds.
    """

    n_kept: int
    part: float
    seeds: int


def rungs(n_recipes: int, seeds: int, *, halving: bool) -> tuple[Rung, ...]:
    """Return the rounds of tuning.

    Reference: Jamieson, Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS
    2016; here with one halving, to a third, since the last rung alone decides.
    """
    last = Rung(1, 1.0, seeds)
    if not halving or n_recipes <= _PART:
        return (last,)
    return Rung(math.ceil(n_recipes / _PART), 1 / _PART, 1), last


def compare(tuning: Tuning, workspace: Workspace, means: Means, executor: Executor, listener: Listener) -> pl.DataFrame:
    """Return one row a recipe, the best first; those that only the first rung saw come last.

    Raises:
        BadData: No recipe could be trained.
    """
    workspace.store.sweep()
    entering, dropped = list(tuning.tried), list[dict[str, Any]]()
    steps = rungs(len(entering), tuning.seeds, halving=tuning.halving)
    rows: list[dict[str, Any]] = []
    for number, rung in enumerate(steps, start=1):
        listener.says(_announced(number, len(steps), len(entering), rung))
        trials = {place: _trials(tuning, values, rung, workspace, means) for place, values in enumerate(entering)}
        jobs = [_job(trial, workspace) for some in trials.values() for trial in some]
        run_all(jobs, executor, listener, workers=means.workers)
        found = [_row(tuning, entering[place], some, workspace, rung) for place, some in trials.items()]
        rows = sorted(found, key=_order)
        if number < len(steps):
            dropped = rows[rung.n_kept :]
            entering = [row["tried"] for row in rows[: rung.n_kept]]
    if all(row["mean"] is None for row in rows):
        raise BadData("no recipe could be trained", remedy=f"the family said: {rows[0]['note']}")
    found = [_flat(row) | {PLACE: tuning.tried.index(row["tried"])} for row in (*rows, *dropped)]
    return pl.DataFrame(found, infer_schema_length=None)


def _announced(number: int, n_rungs: int, n_recipes: int, rung: Rung) -> str:
    passes = "all passes" if rung.part == 1 else f"1/{_PART} of the passes"
    return f"Round {number} of {n_rungs}: {n_recipes} recipes, {passes}, {rung.seeds} seeds each, valid alone."


def _trials(tuning: Tuning, values: Values, rung: Rung, workspace: Workspace, means: Means) -> list[Trial]:
    params = families.params_of(tuning.family, families.recipes.over(tuning.base.model_dump(), values))
    passes = int(getattr(params, "max_epochs", 0))
    epochs = max(1, round(passes * rung.part)) if families.FAMILIES.get(tuning.family).iterates else 0
    recipe = parse(Recipe, {"family": tuning.family, "epochs": epochs, "params": params})
    return [
        Trial(
            recipe=recipe, repeat=fold.repeat, fold=fold.fold, study_seed=number,
            seed=derive(tuning.seed, "tuning", repeat=fold.repeat, fold=fold.fold, number=number),
            split=workspace.plan.identity, prepared=workspace.prepared.path.stem,
            threads=means.threads, device=means.device,
        )
        for fold in workspace.plan.folds()[: tuning.folds]
        for number in range(rung.seeds)
    ]  # fmt: skip


def _job(trial: Trial, workspace: Workspace) -> Job:
    dataset = workspace.dataset
    return Job(trial, workspace.store.folder, workspace.prepared.path, dataset.root, dataset.flips, opens_test=False)


def _row(tuning: Tuning, values: Values, trials: Iterable[Trial], workspace: Workspace, rung: Rung) -> dict[str, Any]:
    names = [trial.name for trial in trials]
    done = workspace.store.gathered(tables.TRIALS, names)
    predictions = workspace.store.gathered(tables.PREDICTIONS, names)
    task = workspace.dataset.task
    groups = [frame for _, frame in predictions.group_by("trial")] if predictions.height else []
    scores = [_measured(frame, task, tuning.primary) for frame in groups]
    losses = [_measured(frame, task, "log_loss") for frame in groups]
    worst = len(scores) < len(names)  # a recipe that fails with one seed is none to recommend
    return {
        "tried": values,
        "mean": None if worst else statistics.mean(scores),
        "sd": statistics.stdev(scores) if len(scores) > 1 and not worst else None,
        "log_loss": None if worst else statistics.mean(losses),
        "best_epoch": done["best_epoch"].mean(),
        "fit_s": done["fit_s"].mean(),
        "parameters": done["n_parameters"].max(),
        "trials": len(names),
        "passes": rung.part,
        "note": "; ".join(done.filter(status="failed")["note"].drop_nulls().unique(maintain_order=True)) or None,
        "sign": -1 if METRICS.get(tuning.primary).better == "lower" else 1,
    }


def _measured(predictions: pl.DataFrame, task: Task, metric: str) -> float:
    """Return the one overall value of a metric on the predictions of one trial."""
    entry = primary_for(task, metric) if metric != "log_loss" else METRICS.get(metric)
    probs = predictions.select(PROB + name for name in task.classes).to_numpy()  # (N, K)
    labels = np.array([task.classes.index(label) for label in predictions["label"]])
    values = registry.load(entry.measure)(tally(labels, probs))[..., 0]  # one, or (K,)
    if not entry.by_class:
        return float(values)
    positive = positive_of(task)
    of_positive = entry.overall == "positive" and positive is not None
    return float(values[task.classes.index(positive)] if of_positive and positive else np.mean(values))


def _order(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    """Return what sorts recipes from good to bad; of equal ones the cheaper comes first."""
    return row["mean"] is None, -row["sign"] * (row["mean"] or 0.0), row["fit_s"]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: str(value) if isinstance(value, list | dict) else value for name, value in row["tried"].items()}
    return own | {name: value for name, value in row.items() if name not in ("tried", "sign")}
