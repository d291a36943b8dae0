"""From what is asked for to a study: recipes, their price, and each family's equal share of the time.

Prices are measured on random numbers of the right shape, two families side by side as they will run, so that no value
in a plan comes from a test patient's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Executor, Future

import polars as pl

from grandrounds import families
from grandrounds.data import unread_tables
from grandrounds.errors import OF_THE_DISK, BadSpec, Refusal, StoreTrouble
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.lacking import with_lacking
from grandrounds.evaluate.slices import slices
from grandrounds.families.exam import kinds
from grandrounds.families.price import Price, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.specs import to_toml
from grandrounds.splits import Fold, SplitPlan
from grandrounds.study.controls import told, with_controls
from grandrounds.study.engine import surviving
from grandrounds.study.reading import notes, refuse_unreadable
from grandrounds.study.shares import Cost, epochs_for, share_s, whole_trials
from grandrounds.study.spec import COMMENTS, Ask, Means, Recipe, Study
from grandrounds.study.workspace import Say, Workspace

_LESS_MEMORY = "give the same command again with --workers 1, or plan without it"
SEEDS_OF_ONE_FOLD = 3  # folds show how training varies; where there is one fold, seeds have to
CAP_FACTOR, CAP_FLOOR_S = 10.0, 600.0  # the clock stops a trial that takes this many times its price, and never sooner


def plan_study(ask: Ask, workspace: Workspace, executor: Executor, say: Say) -> tuple[Study, pl.DataFrame]:
    """Return the study with every family's epochs worked out, and its price list.

    Args:
        ask: What is asked for.
        workspace: The data, opened.
        executor: Who measures prices.
        say: Told what a reader should know, in sentences.
    """
    _refuse_unjudgeable(ask, workspace)
    space, samples = workspace.prepared.pixels.shape[2:], workspace.dataset.samples
    asked = ask.suiting(len(space)).wanted
    recipes = with_controls(asked, samples)
    for note in (*told(recipes, asked), *notes(recipes, samples, space)):
        say(note)
    prices = _prices(recipes, ask.means, workspace, executor, say)
    costs = {name: _cost(recipes[name], price) for name, price in prices.items()}
    n_folds = len(workspace.plan.folds())
    seeds = ask.seeds or (SEEDS_OF_ONE_FOLD if n_folds == 1 else 1)
    n_trials = n_folds * seeds
    contenders = sum(families.FAMILIES.get(name).kind != "floor" for name in recipes)
    whole = whole_trials(n_trials, ask.curve)
    share = share_s(contenders, n_trials=whole, budget_s=ask.means.budget_s, workers=ask.means.workers)
    epochs = {name: epochs_for(cost, share) for name, cost in costs.items()}
    study = Study(
        prepare=workspace.pipeline,
        recipes=tuple(
            recipes[name].replaced(epochs=epochs[name], cap_s=_cap_s(costs[name].seconds(epochs[name])))
            for name in recipes
        ),
        seeds=seeds,
        **{name: getattr(ask, name) for name in Ask.model_fields if name not in ("families", "recipes", "seeds")},
    )
    return study, price_list(study, prices, costs, n_trials)


def price_study(study: Study, workspace: Workspace, executor: Executor, say: Say) -> pl.DataFrame:
    """Return the price list of a study whose epochs stand already; its preparation may be another than was planned."""
    recipes = {recipe.family: recipe for recipe in study.recipes}
    for note in notes(recipes, workspace.dataset.samples, workspace.prepared.pixels.shape[2:]):
        say(note)
    prices = _prices(recipes, study.means, workspace, executor, say)
    costs = {name: _cost(recipes[name], price) for name, price in prices.items()}
    return price_list(study, prices, costs, len(workspace.plan.folds()) * study.seeds)


def price_list(study: Study, prices: Mapping[str, Price], costs: Mapping[str, Cost], n_trials: int) -> pl.DataFrame:
    """Return what each family will cost: epochs, trials, minutes of one core, memory."""
    return pl.DataFrame(
        [
            {
                "family": recipe.family,
                "epochs": recipe.epochs,
                "trials": n_trials * (1 + len(study.curve)),
                "minutes": costs[recipe.family].seconds(recipe.epochs) * whole_trials(n_trials, study.curve) / 60,
                "images_per_s": prices[recipe.family].images_per_s,
                "parameters": prices[recipe.family].n_parameters,
                "peak_mib": prices[recipe.family].peak_mib,
            }
            for recipe in study.recipes
        ]
    )


def _refuse_unjudgeable(ask: Ask, workspace: Workspace) -> None:
    """Refuse before anything is trained what the judge would refuse after it: a metric, or a column to slice by."""
    primary_for(workspace.dataset.task, ask.judge.primary)
    slices(with_lacking(workspace.dataset.samples)[0], ask.judge.slices)


def toml(study: Study | Ask) -> str:
    """Return the study as TOML with a comment per choice, without options that its source does not read."""
    return to_toml(study, COMMENTS, [f"data.options.{name}" for name in unread_tables(study.data.source)])


def _prices(
    recipes: Mapping[str, Recipe], means: Means, workspace: Workspace, executor: Executor, say: Say
) -> dict[str, Price]:
    samples, first = workspace.dataset.samples, workspace.plan.folds()[0]
    roles = samples.select("case").join(workspace.plan.roles(first), on="case")["role"]
    n_train = int((roles == "train").sum())
    n_of_all = max(n_train, _n_of_all_tasks(workspace, first))
    named = samples["series_kind"].is_not_null().any()
    series = tuple(kinds(samples).unique().sort()) if named else ()
    shape = tuple(workspace.prepared.pixels.shape[1:])
    refuse_unreadable(recipes, workspace)
    budget, task = Budget(threads=means.threads, device=means.device), workspace.dataset.task
    with surviving(workspace.store.folder, "a worker process died while the families were timed"):
        pending = {
            name: executor.submit(
                time_batch, name, recipe.params.model_dump(), shape,
                n_of_all if families.FAMILIES.get(name).learns_several else n_train,
                int((roles == "valid").sum()), len(task.classes), budget, series, task.kind,
            )
            for name, recipe in recipes.items()
        }  # fmt: skip
        prices = {name: _priced(name, future) for name, future in pending.items()}
    for note in (note for name, price in prices.items() for note in price.notes(name)):
        say(note)
    return prices


def _priced(name: str, price: Future[Price]) -> Price:
    """Return a price, or a refusal that says of which family it is."""
    try:
        return price.result()
    except Refusal as error:
        where = ": ".join(filter(None, (name, error.where)))
        raise type(error)(error.what, where=where, remedy=error.remedy) from None
    except BrokenExecutor:
        raise
    except MemoryError:
        raise StoreTrouble("memory ran out while it was timed", where=name, remedy=_LESS_MEMORY) from None
    except Exception as error:  # a family may be anybody's code
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise StoreTrouble(f"cannot time it: {error.strerror}", where=name, remedy="free some space") from None
        what = f"the family fails on random images of this size: {type(error).__name__}: {error}"
        raise BadSpec(what, where=name, remedy="mend it, or plan without it") from error


def _n_of_all_tasks(workspace: Workspace, fold: Fold) -> int:
    """Return how many samples a network sees in training that learns the other tasks of the study along."""
    plans = (workspace.plan, *(SplitPlan.load(one.folder / "splits.parquet") for one in workspace.beside))
    cases = pl.concat([plan.roles(fold).filter(role="train")["case"] for plan in plans]).unique()
    return int(workspace.dataset.samples["case"].is_in(cases.implode()).sum())


def _cost(recipe: Recipe, price: Price) -> Cost:
    iterates = families.FAMILIES.get(recipe.family).iterates
    enough = int(getattr(recipe.params, "max_epochs", 100)) if iterates else 0
    return Cost(epoch_s=price.seconds_per_epoch, fixed_s=price.fixed_s, enough_epochs=enough)


def _cap_s(expected_s: float) -> float:
    return round(max(CAP_FLOOR_S, CAP_FACTOR * expected_s))
