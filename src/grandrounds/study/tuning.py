"""Tuning: several recipes of one family, compared on `valid` alone, or on train and valid dealt into folds.

The test role is neither read nor predicted, and the ledger does not move. Trials lie in a folder of their own and are
kept like those of a study, so that the same call goes on where it stopped and a wider one trains only what is new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from grandrounds import families, tables
from grandrounds.errors import BadData
from grandrounds.evaluate import recipes
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.seeds import derive
from grandrounds.specs import parse
from grandrounds.study.engine import Listener, run_all
from grandrounds.study.job import Job, Trial
from grandrounds.study.space import PLACE, Tuning, Values, value_in
from grandrounds.study.spec import Means, Recipe
from grandrounds.study.workspace import Workspace
from grandrounds.wording import many

WORTH = (
    "mean", "low", "high", "sd", "difference", "difference_low", "difference_high", "verdict", "log_loss",
)  # fmt: skip
Row = dict[str, Any]
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
    usual = None if tuning.usual is None else tuning.tried[tuning.usual]
    entering, dropped = list(tuning.tried), list[Row]()
    steps = rungs(len(entering), tuning.seeds, halving=tuning.halving)
    rows: list[Row] = []
    for number, rung in enumerate(steps, start=1):
        listener.says(_announced(number, len(steps), entering, rung, tuning))
        trials = [_trials(tuning, values, rung, workspace, means) for values in entering]
        jobs = [_job(trial, tuning, workspace) for some in trials for trial in some]
        run_all(jobs, executor, listener, workers=means.workers)
        rows = sorted(_rows(tuning, entering, trials, workspace, rung), key=partial(_order, tuning))
        if number < len(steps):
            kept = [row for place, row in enumerate(rows) if place < rung.n_kept or row["tried"] == usual]
            dropped = [row for row in rows if row not in kept]
            entering = [row["tried"] for row in kept]
    if all(row["mean"] is None for row in rows):
        raise BadData("no recipe could be trained", remedy=f"the family said: {rows[0]['note']}")
    found = [_flat(tuning, row) for row in (*rows, *dropped)]
    # Where nothing can be compared, a column of nulls alone would have no type.
    return pl.DataFrame(found, infer_schema_length=None).with_columns(pl.col("verdict").cast(pl.String()))


def scored_on(tuning: Tuning) -> str:
    """Return in words which cases score the recipes."""
    return "valid" if tuning.across is None else f"train and valid, dealt into {tuning.across} folds"


def _announced(number: int, n_rungs: int, entering: Sequence[Values], rung: Rung, tuning: Tuning) -> str:
    passes = "all passes" if rung.part == 1 else f"1/{_PART} of the passes"
    several, seeds = many(len(entering), "recipe"), many(rung.seeds, "seed")
    usual = "" if tuning.usual is None or len(entering) == 1 else ", the usual one among them"
    return f"Round {number} of {n_rungs}: {several}{usual}; {passes}, {seeds} each, scored on {scored_on(tuning)}."


def _trials(tuning: Tuning, values: Values, rung: Rung, workspace: Workspace, means: Means) -> list[Trial]:
    params = tuning.params(values)
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
        for fold in workspace.plan.folds()[: tuning.across or tuning.folds]
        for number in range(rung.seeds)
    ]  # fmt: skip


def _job(trial: Trial, tuning: Tuning, workspace: Workspace) -> Job:
    dataset = workspace.dataset
    return Job(
        trial, workspace.store.folder, workspace.prepared.path, dataset.root, dataset.flips,
        opens_test=False, inside=tuning.across is not None,
    )  # fmt: skip


def _rows(
    tuning: Tuning, entering: Sequence[Values], trials: Sequence[Sequence[Trial]], workspace: Workspace, rung: Rung
) -> list[Row]:
    """Return what each recipe cost and, where all of its trials gave an answer, what it is worth."""
    rows, answers = list[Row](), list[pl.DataFrame]()
    for place, (values, some) in enumerate(zip(entering, trials, strict=True)):
        names = [trial.name for trial in some]
        done = workspace.store.gathered(tables.TRIALS, names)
        rows.append({"tried": values, "part": rung.part} | _cost(done))
        predictions = workspace.store.gathered(tables.PREDICTIONS, names)
        if predictions.height and predictions["trial"].n_unique() == len(names):
            # A recipe that fails with one seed is none to recommend.
            answers.append(predictions.with_columns(family=pl.lit(str(place))))
    worth = _worth(tuning, entering, answers, workspace) if answers else {}
    return [dict.fromkeys(WORTH) | worth.get(str(place), {}) | row for place, row in enumerate(rows)]


def _cost(done: pl.DataFrame) -> Row:
    return {
        "best_epoch": done["best_epoch"].mean(),
        "fit_s": done["fit_s"].mean(),
        "parameters": done["n_parameters"].max(),
        "trials": done.height,
        "note": "; ".join(done.filter(status="failed")["note"].drop_nulls().unique(maintain_order=True)) or None,
    }


def _worth(
    tuning: Tuning, entering: Sequence[Values], answers: Sequence[pl.DataFrame], workspace: Workspace
) -> dict[str, Row]:
    usual = None if tuning.usual is None else str(entering.index(tuning.tried[tuning.usual]))
    frame = recipes.compared(
        pl.concat(answers), workspace.dataset.task, role="valid" if tuning.across is None else "test",
        primary=tuning.primary, margin=tuning.margin, usual=usual, seed=derive(tuning.seed, "bootstrap"),
    )  # fmt: skip
    return {row.pop("family"): row for row in frame.to_dicts()}


def _order(tuning: Tuning, row: Row) -> tuple[bool, float, float]:
    """Return what sorts recipes from good to bad; of equal ones the cheaper comes first."""
    sign = -1 if METRICS.get(tuning.primary).better == "lower" else 1
    return row["mean"] is None, -sign * (row["mean"] or 0.0), row["fit_s"]


def _flat(tuning: Tuning, row: Row) -> Row:
    """Return a row of the table: the value of each parameter that any recipe changes, and what was measured."""
    names = dict.fromkeys(name for values in tuning.tried for name in values)
    own = {name: row["tried"].get(name, value_in(tuning.base, name)) for name in names}
    own = {name: str(value) if isinstance(value, list | dict | tuple) else value for name, value in own.items()}
    return own | {name: row[name] for name in row if name != "tried"} | {PLACE: tuning.tried.index(row["tried"])}
