"""What a study does with a family that misbehaves: it says what went wrong, and the others go on."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import polars as pl
import pytest

from grandrounds import families, tables
from grandrounds.families.protocol import FamilyEntry
from grandrounds.specs import parse
from grandrounds.splits import ledger
from grandrounds.study.engine import InProcess, Silent, run_all
from grandrounds.study.job import Job, trials_of
from grandrounds.study.spec import Ask, DataSpec, Recipe
from grandrounds.study.workspace import open_workspace
from grandrounds.training import losses

DEBUG = FamilyEntry(
    name="debug", kind="debug", summary="misbehaves on purpose", reference="mlr3's LearnerClassifDebug",
    build="debug_family:DebugFamily", params="debug_family:DebugParams", fitted="debug_family:FittedDebug",
)  # fmt: skip


@pytest.fixture
def debug(monkeypatch):
    """The registry with the debug family, as an installed package would add it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(families.FAMILIES, "_merged", {one.name: one for one in (*families.FAMILIES, DEBUG)})


def run(archive, folder, wrong, cap_s=None):
    """Run the debug family and the prior side by side; return the trials table, the predictions and what was opened."""
    return beside_prior(archive, folder, {"family": "debug", "params": {"wrong": wrong}, "cap_s": cap_s})


def beside_prior(archive, folder, recipe):
    """Run a recipe and the prior side by side; return the trials table, the predictions and what was opened."""
    ask = Ask(name="debug", data=DataSpec(source=str(archive), names=True))
    workspace = open_workspace(ask, folder, lambda _: None, pipeline=None, cache=None)
    recipes = tuple(parse(Recipe, content) for content in (recipe, {"family": "prior"}))
    trials = trials_of(recipes, workspace.plan, workspace.prepared.path.stem, seed=0, seeds=1, threads=1, device="cpu")
    jobs = [Job(one, folder, workspace.prepared.path, folder / "data", flips=False) for one in trials]
    run_all(jobs, InProcess(), Silent())
    names = [one.name for one in trials]
    opened = ledger.count(folder / "data", workspace.dataset.fingerprint).trials
    gathered = (workspace.store.gathered(schema, names) for schema in (tables.TRIALS, tables.PREDICTIONS))
    return *gathered, opened


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("fails", "ZeroDivisionError: on purpose"),
        ("hangs", "did not stop"),
        ("returns NaN", "not finite"),
        ("drops rows", "rows"),
        ("adds a class", "classes"),
        ("sums to two", "sum to one"),
    ],
)
def test_a_family_that_misbehaves_fails_alone(debug, archive, tmp_path, wrong, said):
    """Its trial is recorded as failed with the reason and leaves no prediction; the prior is judged all the same."""
    trials, predictions, _ = run(archive, tmp_path, wrong, cap_s=0.2)
    of_debug = trials.filter(family="debug")

    assert of_debug["status"].to_list() == ["failed"]
    assert said in of_debug["note"][0]
    assert trials.filter(family="prior")["status"].to_list() == ["done"]
    assert set(predictions["family"]) == {"prior"}


def test_a_family_that_behaves_is_judged(debug, archive, tmp_path):
    """Nothing is wrong with the debug family where nothing is asked to be."""
    trials, predictions, _ = run(archive, tmp_path, "nothing", cap_s=60)

    assert set(trials["status"]) == {"done"}
    assert predictions.group_by("family").agg(pl.len())["len"].n_unique() == 1


def test_bad_predictions_on_valid_leave_the_test_role_closed(debug, archive, tmp_path):
    """What is wrong shows on valid already, and the ledger counts the prior's opening alone."""
    assert run(archive, tmp_path, "returns NaN")[2] == 1


def test_a_network_whose_loss_turns_into_no_number_is_judged_by_what_it_learned_before(archive, tmp_path, monkeypatch):
    """Its trial says so and has the predictions of the last good epoch; the prior is judged all the same."""
    known, calls = losses.OfLabels.__call__, itertools.count(1)
    monkeypatch.setattr(
        losses.OfLabels, "__call__", lambda *given: known(*given) * (math.nan if next(calls) > 2 else 1)
    )
    one_step_a_pass = {"batch_size": 1000, "max_epochs": 4}
    trials, predictions, _ = beside_prior(
        archive, tmp_path, {"family": "li2014", "params": one_step_a_pass, "epochs": 4}
    )
    network = trials.filter(family="li2014").row(0, named=True)

    assert set(trials["status"]) == {"done"}
    assert network["best_epoch"] in (1, 2)
    assert (
        f"stopped in epoch 3: the loss was no longer a number; epoch {network['best_epoch']} is kept" in network["note"]
    )
    assert predictions.group_by("family").agg(pl.len())["len"].n_unique() == 1
