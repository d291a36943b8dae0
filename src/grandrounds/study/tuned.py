"""What tuning leaves: a table of every recipe, and the best one as a file that a study can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import tomlkit

from grandrounds import families, tables
from grandrounds.errors import BadSpec
from grandrounds.evaluate.catalogue import METRICS, spoken
from grandrounds.specs import parse
from grandrounds.study import engine
from grandrounds.study.engine import Listener, Silent
from grandrounds.study.reading import refuse_unreadable
from grandrounds.study.record import processor
from grandrounds.study.space import PLACE, Tuning, Values
from grandrounds.study.spec import Ask, Means, Recipe, Study
from grandrounds.study.tuning import compare, scored_on
from grandrounds.study.workspace import Workspace, inside, open_workspace
from grandrounds.wording import many

LABEL = "tuned"


class Tuned(NamedTuple):
    """The outcome of tuning.

    Args:
        table: One row a recipe, the best first, with its values, what they gave with its interval, and the paired
            difference from the usual recipe with its own.
        recipe: The best one, as a file.
        sentences: What a reader should be told.
        metric: What decided, in words.
    """

    table: pl.DataFrame
    recipe: Path
    sentences: tuple[str, ...]
    metric: str


def tune(what: Ask | Study, folder: Path, tuning: Tuning, listener: Listener | None = None) -> Tuned:
    """Return the recipes of one family compared on train and valid; write their table and the best of them.

    The same call goes on where it stopped. The test role is neither read nor predicted.

    Args:
        what: The data with their split, as for `run`; a planned study brings its preparation.
        folder: Where trials are kept; none of them counts in a study.
        tuning: What is to be compared.
        listener: Told how it goes.

    Raises:
        BadData: The family cannot read the images, or no recipe could be trained.
        BadSpec: The family learns several tasks at once.
    """
    listener = listener or Silent()
    if families.FAMILIES.get(tuning.family).learns_several:
        raise BadSpec(
            f"{tuning.family} learns several tasks, and tuning looks at one", remedy="tune the network itself"
        )
    ask, pipeline = (what, None) if isinstance(what, Ask) else (what.asked(), what.prepare)
    workspace = open_workspace(ask, folder, listener.says, pipeline=pipeline, cache=None)
    refuse_unreadable({tuning.family: parse(Recipe, {"family": tuning.family, "params": tuning.base})}, workspace)
    for sentence in _passes(what, tuning):
        listener.says(sentence)
    with engine.workers(ask, only=tuning.family) as executor:
        looked_at, tuning = _looked_at(workspace, tuning, listener)
        table = compare(tuning, looked_at, ask.means, executor, listener)
    best = table.row(0, named=True)
    chosen = tuning.tried[best[PLACE]]
    name = tuning.family.replace(":", "-")
    with tables.atomic(workspace.store.folder / f"{name}.csv") as temporary:
        temporary.write_text(table.write_csv(), encoding="utf-8")
    text = _recipe(tuning, chosen, _head(tuning, best, table.height, workspace, ask.means))
    path = workspace.store.write_text(f"{name}.toml", text)
    metric = spoken(METRICS.get(tuning.primary), workspace.dataset.task)
    return Tuned(table, path, tuple(_told(tuning, table, workspace)), metric)


def _passes(what: Ask | Study, tuning: Tuning) -> Iterator[str]:
    """Yield a word where a study trains the family for another number of passes than its recipe has."""
    if any("max_epochs" in values for values in tuning.tried):
        return
    planned = {one.family: one.epochs for one in what.recipes} if isinstance(what, Study) else {}
    ours, theirs = getattr(tuning.base, "max_epochs", None), planned.get(tuning.family)
    if theirs and ours and ours != theirs:
        yield (
            f"Recipes are trained for their own max_epochs, {ours}, and not for the {theirs} "
            f"that the study has for {tuning.family}; --set max_epochs={theirs} tries those."
        )


def _looked_at(workspace: Workspace, tuning: Tuning, listener: Listener) -> tuple[Workspace, Tuning]:
    """Return where recipes are compared, and what is to be compared with the number of folds that were possible."""
    if tuning.across is None:
        return workspace, tuning
    within = inside(workspace, tuning.across)
    for note in within.plan.notes:
        listener.says(note)
    return within, replace(tuning, across=len(within.plan.folds()))


def _told(tuning: Tuning, table: pl.DataFrame, workspace: Workspace) -> list[str]:
    sentences, n_recipes = [], table.height
    if tuning.usual is not None and n_recipes > 1:
        better = int(table["verdict"].eq("better").sum())
        shown = "None is" if not better else many(better, "recipe", "are")
        sentences.append(
            f"{shown} shown to be better than the usual recipe. Differences are from that one, with 95 % intervals "
            "over patients, corrected for the number of recipes; training anew is no part of them."
        )
    if not workspace.dataset.patient_known:
        sentences.append("Nobody knows whose images these are: the intervals assume independent images.")
    if n_recipes > 1:
        sentences.append(
            f"The best of {n_recipes} recipes was picked by the cases that score it: expect less than its value above."
        )
    n_folds = len(workspace.plan.folds())
    if n_folds > 1:
        has_rate = families.FAMILIES.get(tuning.family).iterates
        swept = f", or let each fold choose for itself with sweep:{tuning.family}" if has_rate else ""
        sentences.append(
            f"Patients that score here are tested in other folds (looked at: {tuning.folds} of {n_folds}): use this "
            f"recipe on other images{swept}."
        )
    return sentences


def _head(tuning: Tuning, best: dict[str, Any], n_recipes: int, workspace: Workspace, means: Means) -> list[str]:
    metric = spoken(METRICS.get(tuning.primary), workspace.dataset.task)
    spread = "" if best["sd"] is None else f"; SD {best['sd']:.4f} over {best['trials']} trainings"
    bounds = f" ({best['low']:.3f} to {best['high']:.3f}{spread})" if best["low"] is not None else ""
    n_folds = len(workspace.plan.folds())
    seen = f"{tuning.folds if tuning.across is None else 1} of {n_folds} folds of split {workspace.plan.identity}"
    where = scored_on(tuning)
    cost = f"{best['fit_s']:.0f} s a training with {means.threads} threads of {processor()}"
    return [
        f"{tuning.family} as tuned on {workspace.dataset.name}.",
        f"Reference: {families.FAMILIES.get(tuning.family).reference}",
        f"Our choice: the best of {n_recipes} recipes by {metric} on {where}; {seen}; the test role stayed closed",
        f"Expected time: {cost}",
        f"Expected result: {metric} of {best['mean']:.4f} on {where}{bounds}",
    ]


def _recipe(tuning: Tuning, chosen: Values, head: list[str]) -> str:
    """Return the recipe as TOML: only what differs from the default recipe of its family."""
    family = tuning.family.partition("@")[0]
    own, usual = (one.model_dump(mode="json") for one in (tuning.params(chosen), families.params_of(family)))
    document = tomlkit.document()
    for line in head:
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    document.add("family", tomlkit.item(f"{family}@{LABEL}"))
    document.add("params", tomlkit.item(_different(own, usual)))
    return tomlkit.dumps(document)


def _different(own: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a recipe has to say to be laid over the usual one; TOML has no word for what is unset."""
    found: dict[str, Any] = {}
    for name, value in own.items():
        other = usual.get(name)
        if value is not None and value != other:
            lower = other if isinstance(other, Mapping) else {}
            found[name] = _different(value, lower) if isinstance(value, Mapping) else value
    return found
