"""From what is asked for to a study: recipes, their price, and each family's equal share of the time.

Prices are measured on random numbers of the right shape, two families side by side as they will run, so that no value
in a plan comes from a test patient's pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool

import polars as pl

from grandrounds import families
from grandrounds.data import unread_tables
from grandrounds.errors import BadData, Refusal, StoreTrouble
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.lacking import with_lacking
from grandrounds.evaluate.slices import slices
from grandrounds.families.exam import kinds, modalities, repeated
from grandrounds.families.params_of_others import ExamsParams, fusing
from grandrounds.families.price import Price, time_batch
from grandrounds.families.protocol import Budget
from grandrounds.prepare import Pipeline
from grandrounds.specs import to_toml
from grandrounds.splits import Fold, SplitPlan
from grandrounds.study.controls import told, with_controls
from grandrounds.study.shares import Cost, epochs_for, share_s, whole_trials
from grandrounds.study.spec import COMMENTS, Ask, Means, Recipe, Study, is_control
from grandrounds.study.workspace import Say, Workspace
from grandrounds.tables import OF_COLUMNS
from grandrounds.training.parts import n_parts

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
    for note in (*told(recipes, asked), *_reading(recipes, samples, space)):
        say(note)
    prices = _prices(recipes, ask.means, workspace, executor)
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
    for note in _reading(recipes, workspace.dataset.samples, workspace.prepared.pixels.shape[2:]):
        say(note)
    prices = _prices(recipes, study.means, workspace, executor)
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


def _reading(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield what a reader should know of how images of that space are read."""
    yield from _in_parts(recipes, samples, space)
    yield from _repeated(recipes, samples, space)


def _in_parts(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence on each family for whose batches of images of that space memory is too small."""
    for name, recipe in recipes.items():
        n_batch, n_series = int(getattr(recipe.params, "batch_size", 1)), _side_by_side(recipe, samples)
        reads = families.FAMILIES.get(name).iterates and not is_control(recipe)
        n = n_parts(space, n_batch, n_series) if reads else 1
        if n > 1:
            what = "volumes" if n_series == 1 else f"exams with {n_series} series"
            size = "×".join(map(str, space))
            yield (
                f"{name}: a batch of {n_batch} {what} of {size} is read in {n} parts, whose gradients are added up, "
                'so that it fits into memory; the steps "format_stack" and "resample" make volumes smaller.'
            )


def _side_by_side(recipe: Recipe, samples: pl.DataFrame) -> int:
    """Return how many series of an exam a family reads at once; one where it reads each by itself."""
    exams = fusing(recipe.params)
    if not isinstance(exams, ExamsParams):
        return 1
    return max(1, sum(one != OF_COLUMNS for one in modalities(samples, exams)))


def _repeated(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence on each series that exams have twice, where a family reads exams of volumes."""
    if len(space) == 3 and any(families.FAMILIES.get(name).reads == "case" for name in recipes):
        named = samples["series_kind"].drop_nulls().unique().sort().to_list()
        for found in repeated(samples, named):
            yield f"{found}: families behind exams: read the first, those behind fusion: average what is said of each."


def _refuse_canvas(recipes: Mapping[str, Recipe], pipeline: Pipeline) -> None:
    """Refuse networks of exams where images lie on a canvas, whose border they would read as part of a series."""
    joint = [name for name, recipe in recipes.items() if isinstance(fusing(recipe.params), ExamsParams)]
    if joint and any(step.step == "canvas" for step in pipeline.each):
        raise BadData(
            f"series of several sizes cannot be laid beside each other, and here they lie on a canvas: {joint[0]}",
            remedy='bring them to one size with the step "format_stack" or "pad_crop" in place of "canvas"; or take '
            "fusion:, whose members read a series each",
        )


def toml(study: Study | Ask) -> str:
    """Return the study as TOML with a comment per choice, without options that its source does not read."""
    return to_toml(study, COMMENTS, [f"data.options.{name}" for name in unread_tables(study.data.source)])


def _prices(recipes: Mapping[str, Recipe], means: Means, workspace: Workspace, executor: Executor) -> dict[str, Price]:
    samples, first = workspace.dataset.samples, workspace.plan.folds()[0]
    roles = samples.select("case").join(workspace.plan.roles(first), on="case")["role"]
    n_train = int((roles == "train").sum())
    n_of_all = max(n_train, _n_of_all_tasks(workspace, first))
    named = samples["series_kind"].is_not_null().any()
    series = tuple(kinds(samples).unique().sort()) if named else ()
    shape = tuple(workspace.prepared.pixels.shape[1:])
    _refuse_misread(list(recipes), shape)
    _refuse_alone(list(recipes), workspace)
    _refuse_canvas(recipes, workspace.pipeline)
    budget = Budget(threads=means.threads, device=means.device)
    pending = {
        name: executor.submit(
            time_batch, name, recipe.params.model_dump(), shape,
            n_of_all if families.FAMILIES.get(name).learns_several else n_train,
            int((roles == "valid").sum()), len(workspace.dataset.task.classes), budget, series,
        )
        for name, recipe in recipes.items()
    }  # fmt: skip
    try:
        return {name: _priced(name, future) for name, future in pending.items()}
    except BrokenProcessPool:
        raise StoreTrouble(
            "a worker process died while the families were timed, most often because the machine ran out of memory",
            where=workspace.store.folder,
            remedy="give the same command again with --workers 1, which needs less memory; or plan fewer families",
        ) from None


def _priced(name: str, price: Future[Price]) -> Price:
    """Return a price, or a refusal that says of which family it is."""
    try:
        return price.result()
    except Refusal as error:
        where = ": ".join(filter(None, (name, error.where)))
        raise type(error)(error.what, where=where, remedy=error.remedy) from None


def _n_of_all_tasks(workspace: Workspace, fold: Fold) -> int:
    """Return how many samples a network sees in training that learns the other tasks of the study along."""
    plans = (workspace.plan, *(SplitPlan.load(one.folder / "splits.parquet") for one in workspace.beside))
    cases = pl.concat([plan.roles(fold).filter(role="train")["case"] for plan in plans]).unique()
    return int(workspace.dataset.samples["case"].is_in(cases.implode()).sum())


def _refuse_misread(names: Sequence[str], shape: tuple[int, ...]) -> None:
    """Refuse families that cannot read images of this shape, before anything is trained."""
    n_axes = len(shape) - 1
    misread = [name for name in names if n_axes not in families.FAMILIES.get(name).dims]
    if not misread:
        return
    size = "×".join(map(str, shape[1:]))
    if n_axes == 3:
        raise BadData(
            f"the prepared images are volumes of {size}, and these families read planes: {', '.join(misread)}",
            remedy="put slices: before the name of a network, as in --families prior,slices:resnet-18, "
            "or make each slice a sample with --unit slice (its exam stays the case)",
        )
    raise BadData(
        f"the prepared images are planes of {size}, and these families read volumes: {', '.join(misread)}",
        remedy="make each exam a sample with --unit volume, or leave these families out",
    )


def _refuse_alone(names: Sequence[str], workspace: Workspace) -> None:
    """Refuse families that learn several tasks at once where the study has one."""
    several = [name for name in names if families.FAMILIES.get(name).learns_several]
    if several and not workspace.beside:
        raise BadData(
            f"this study has one task, and these families learn several at once: {', '.join(several)}",
            where=workspace.dataset.name,
            remedy="name the tasks with --tasks FIRST,SECOND, or leave these families out",
        )


def _cost(recipe: Recipe, price: Price) -> Cost:
    iterates = families.FAMILIES.get(recipe.family).iterates
    enough = int(getattr(recipe.params, "max_epochs", 100)) if iterates else 0
    return Cost(epoch_s=price.seconds_per_epoch, fixed_s=price.fixed_s, enough_epochs=enough)


def _cap_s(expected_s: float) -> float:
    return round(max(CAP_FLOOR_S, CAP_FACTOR * expected_s))
