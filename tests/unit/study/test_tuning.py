from __future__ import annotations

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.families import FAMILIES, params_of, params_spec, recipes
from grandrounds.specs import parse
from grandrounds.splits import ledger
from grandrounds.study.engine import InProcess, Silent
from grandrounds.study.space import Tuning
from grandrounds.study.spec import Ask, DataSpec, Means, SplitSpec, Study
from grandrounds.study.tuned import tune
from grandrounds.study.tuning import compare, rungs
from grandrounds.study.workspace import inside, open_workspace


class Counting(Silent):
    """Remembers what is said, how many trials each round has, and how many of them were there."""

    def __init__(self):
        self.planned, self.said = [], []

    def says(self, sentence):
        """Remember it."""
        self.said.append(sentence)

    def trials_planned(self, n_trials, n_done):
        """Remember both."""
        self.planned.append((n_trials, n_done))


@pytest.fixture(scope="module")
def workspace(archive, tmp_path_factory):
    ask = Ask(name="tuning", data=DataSpec(source=str(archive), names=True))
    return open_workspace(ask, tmp_path_factory.mktemp("tuning"), lambda _: None, pipeline=None, cache=None)


def tuning(sides, family="thumbnail", **options):
    return Tuning(family, params_of(family), [{"side_px": side} for side in sides], **options)


def run(workspace, wanted):
    listener = Counting()
    return compare(wanted, workspace, Means(), InProcess(), listener), listener.planned


def test_recipes_are_compared_on_valid_alone(workspace):
    """The best recipe comes first; the test role is neither predicted nor counted as opened."""
    openings = ledger.count(workspace.dataset.root, workspace.dataset.fingerprint).n  # other tests open it
    table, _ = run(workspace, tuning([1, 16], seeds=2))
    trials = list((workspace.store.folder / "trials").iterdir())
    frames = [tables.read(tables.PREDICTIONS, one / "predictions.parquet").frame for one in trials]
    roles = pl.concat([frame["role"] for frame in frames])

    assert set(table["side_px"]) == {16, 1}
    assert table["mean"].is_sorted(descending=True)
    assert set(roles) == {"valid"}
    assert ledger.count(workspace.dataset.root, workspace.dataset.fingerprint).n == openings
    assert not list(workspace.store.folder.rglob("*.safetensors"))


def test_two_thirds_are_dropped_after_a_third_of_the_passes(workspace):
    """Of six recipes two are trained with every seed, the others with one; the same call again trains nothing."""
    wanted = tuning([1, 2, 3, 5, 8, 12], seeds=2, seed=1)
    table, planned = run(workspace, wanted)

    assert planned == [(6, 0), (4, 2)]  # thumbnails have no passes, so that the first round's are there
    assert table["trials"].to_list() == [2, 2, 1, 1, 1, 1]
    assert run(workspace, wanted)[1] == [(6, 6), (4, 4)]
    assert run(workspace, tuning([1, 2, 3, 5, 8, 12, 16], seeds=2, seed=1))[1][0] == (7, 6)


def test_the_usual_recipe_stays_to_the_end_and_every_other_is_held_against_it(workspace):
    """Differences are paired and have intervals; the worst of all recipes is not dropped where it is the usual one."""
    table, _ = run(workspace, tuning([1, 8, 12, 16, 5, 3], usual=0, seeds=2))
    usual = table.row(by_predicate=pl.col("side_px") == 1, named=True)
    others = table.filter(pl.col("side_px") != 1)

    assert usual["trials"] == 2
    assert usual["difference"] is None
    full = others.filter(trials=2)
    assert full["difference"].to_list() == pytest.approx((full["mean"] - usual["mean"]).to_list())
    assert (others["difference_low"] <= others["difference"]).all()
    assert (others["difference"] <= others["difference_high"]).all()
    assert (table["low"] < table["mean"]).all()
    assert set(others["verdict"]) <= {"better", "worse", "equivalent", "undecided"}


def test_across_folds_every_case_of_train_and_valid_is_scored_once(workspace):
    """The test role has no part in the folds, and the ledger does not move."""
    openings = ledger.count(workspace.dataset.root, workspace.dataset.fingerprint).n
    looked_at = inside(workspace, 4)
    run(looked_at, tuning([4], seeds=1, across=4))
    trials = sorted((looked_at.store.folder / "trials").iterdir())
    scored = pl.concat(tables.read(tables.PREDICTIONS, one / "predictions.parquet").frame for one in trials)
    roles = workspace.plan.roles(workspace.plan.folds()[0])
    theirs = roles.filter(pl.col("role") != "test")["case"]

    assert sorted(scored.filter(role="test")["case"]) == sorted(theirs)
    assert set(scored["case"]) <= set(theirs)
    assert ledger.count(workspace.dataset.root, workspace.dataset.fingerprint).n == openings


def test_folds_inside_are_the_same_under_pseudonyms(archive, tmp_path, workspace):
    """What is printed does not depend on what patients are called."""
    hidden = Ask(name="tuning", data=DataSpec(source=str(archive)))
    other = open_workspace(hidden, tmp_path, lambda _: None, pipeline=None, cache=None)
    places = [
        one.dataset.samples.select("case").with_row_index().join(inside(one, 3).plan.table, on="case")
        for one in (workspace, other)
    ]
    own, under = (frame.sort("fold", "index").select("index", "fold", "role") for frame in places)

    assert own.equals(under)


@pytest.mark.parametrize(("epochs", "differ"), [(3, True), (1, False), (0, False)])
def test_it_is_said_where_a_study_has_other_passes_than_the_recipes_that_are_tried(archive, tmp_path, epochs, differ):
    """Every recipe is trained for its own passes, which a sweep may change; those of a plan follow from its budget."""
    recipe = {"family": "li2014", "epochs": epochs, "params": {"max_epochs": 1}}
    data = {"source": str(archive), "names": True}
    study = parse(Study, {"name": "x", "data": data, "prepare": {}, "means": {"workers": 1}, "recipes": [recipe]})
    listener = Counting()
    wanted = Tuning("li2014", study.recipes[0].params, [{}, {"batch_size": 64}], usual=0, seeds=1)
    tune(study, tmp_path, wanted, listener)

    assert any("max_epochs, 1, and not for the 3" in sentence for sentence in listener.said) == differ
    assert any("2 recipes, the usual one among them; all passes" in sentence for sentence in listener.said)


def test_who_chooses_the_passes_is_not_told_of_others(archive, tmp_path):
    """Then no recipe has those of the family."""
    recipe = {"family": "li2014", "epochs": 3, "params": {"max_epochs": 2}}
    data = {"source": str(archive), "names": True}
    study = parse(Study, {"name": "x", "data": data, "prepare": {}, "means": {"workers": 1}, "recipes": [recipe]})
    listener = Counting()
    tune(study, tmp_path, Tuning("li2014", study.recipes[0].params, [{"max_epochs": 1}], seeds=1), listener)

    assert not any("not for the 3" in sentence for sentence in listener.said)


@pytest.mark.parametrize("values", [[1, 0.7], [0.7, 1]])
def test_the_best_recipe_is_written_however_its_numbers_are_spelt(archive, tmp_path, values):
    """Whole numbers among fractions become fractions in the table; the recipe is found all the same."""
    ask = Ask(name="tuning", data=DataSpec(source=str(archive), names=True), means=Means(workers=1))
    wanted = Tuning("sift-svm", params_of("sift-svm"), [{"blur_px": value} for value in values], seeds=1)
    found = tune(ask, tmp_path, wanted)

    kept = recipes.read(found.recipe).params.get("blur_px", params_of("sift-svm").blur_px)  # defaults are not written
    assert kept == found.table["blur_px"][0]


def test_of_a_table_of_parameters_only_what_differs_is_written(archive, tmp_path):
    """A teacher's own settings come back as they were; those of them that are unset have no place in TOML."""
    ask = Ask(name="tuning", data=DataSpec(source=str(archive), names=True), means=Means(workers=1))
    base = params_of("deit-tiny", {"max_epochs": 1, "teacher": {"max_epochs": 1, "width": 0.125}})
    found = tune(ask, tmp_path, Tuning("deit-tiny", base, [{"gain": 0.2}], seeds=1))

    written = recipes.read(found.recipe).params
    assert written == {"max_epochs": 1, "gain": 0.2, "teacher": {"max_epochs": 1, "width": 0.125}}
    assert params_of("deit-tiny", written).teacher == base.teacher


def test_parameters_of_what_a_family_is_made_of_are_tried_by_name_with_a_dot(archive, tmp_path):
    """The table has them under that name, the recipe in the table where they belong, and others there stay.

    What is not said stands in the table as the member's default, and in no recipe.
    """
    ask = Ask(name="tuning", data=DataSpec(source=str(archive), names=True), means=Means(workers=1))
    base = params_of("ensemble:thumbnail", {"n_members": 2, "of": {"penalties": [0.1]}})
    tried = [{"of.side_px": 4}, {}, {"of.side_px": 2}]
    found = tune(ask, tmp_path, Tuning("ensemble:thumbnail", base, tried, usual=1, seeds=1))

    default = params_of("thumbnail").side_px
    assert set(found.table["of.side_px"]) == {2, 4, default}
    assert found.table["mean"].n_unique() == 3
    best = {} if found.table["of.side_px"][0] == default else {"side_px": found.table["of.side_px"][0]}
    assert recipes.read(found.recipe).params == {"n_members": 2, "of": {"penalties": [0.1], **best}}


def test_a_parameter_that_a_member_does_not_have_is_refused_before_training(workspace):
    """The refusal names it."""
    wrong = Tuning("ensemble:thumbnail", params_of("ensemble:thumbnail"), [{"of.side_pix": 4}], seeds=1)
    with pytest.raises(BadSpec, match="side_pix"):
        run(workspace, wrong)


@pytest.mark.parametrize(
    ("family", "tried", "swept"), [("thumbnail", "side_px", False), ("li2014", "batch_size", True)]
)
def test_a_sweep_inside_each_fold_is_advised_where_there_is_a_rate_to_sweep(archive, tmp_path, family, tried, swept):
    """A family that chooses its settings on valid itself has none, and a sweep of it would be refused."""
    data, split = DataSpec(source=str(archive), names=True), SplitSpec(scheme="kfold", folds=3)
    ask = Ask(name="tuning", data=data, split=split, means=Means(workers=1))
    base = params_of(family, {"max_epochs": 1} if swept else {})
    found = tune(ask, tmp_path, Tuning(family, base, [{tried: 8}], seeds=1))

    (said,) = [sentence for sentence in found.sentences if "use this recipe on other images" in sentence]
    assert (f"sweep:{family}" in said) == swept


@pytest.mark.parametrize("family", [entry.name for entry in FAMILIES])
def test_no_parameter_is_called_as_a_column_of_what_was_measured(family, workspace):
    """Its values would be overwritten: the table has a column for each parameter that is tried, beside these."""
    measured = set(run(workspace, tuning([1, 2]))[0].columns) - {"side_px"}

    assert not measured & set(params_spec(family).model_fields)


def test_a_recipe_that_fails_is_last_and_says_why(workspace):
    """Others go on; where none works, the tuning is refused with the family's own words."""
    mixed = Tuning("swin-tiny", params_of("swin-tiny", {"max_epochs": 1}), [{"patch_px": 64}], seeds=1)
    with pytest.raises(BadData, match="no recipe could be trained"):
        run(workspace, mixed)


def test_a_best_recipe_beside_which_none_could_be_trained_is_told(archive, tmp_path):
    """There is nothing to compare it with, which is no error."""
    ask = Ask(name="x", data=DataSpec(source=str(archive), names=True), means=Means(workers=1))
    tried = [{}, {"learning_rate": 1e30}]
    one = Tuning("li2014", params_of("li2014", {"max_epochs": 1}), tried, usual=0, seeds=1, halving=False)
    found = tune(ask, tmp_path / "tuned", one)

    assert found.table["verdict"].null_count() == 2
    assert any(sentence.startswith("None is shown to be better") for sentence in found.sentences)


def test_a_family_that_cannot_read_the_images_says_what_to_do(workspace):
    """The reason that every training had comes with its remedy."""
    with pytest.raises(BadData, match="no recipe could be trained") as refusal:
        run(workspace, Tuning("vgg-11", params_of("vgg-11"), [{"learning_rate": 0.1}], seeds=1))
    assert "at least 32 pixels a side" in refusal.value.remedy
    assert "what to do: set side_px = 32" in refusal.value.remedy


def test_tuning_is_refused_before_training_where_a_study_would_be(archive, tmp_path):
    """Images are planes here, and the family reads volumes: no training is tried."""
    ask = Ask(name="tuning", data=DataSpec(source=str(archive), names=True), means=Means(workers=1))
    wanted = Tuning("slices:spp", params_of("slices:spp"), [{"learning_rate": 0.1}], seeds=1)
    with pytest.raises(BadData, match=r"planes of .*, and these families read volumes: slices:spp"):
        tune(ask, tmp_path, wanted)

    assert not list((tmp_path / "trials").iterdir())


def test_a_metric_that_cannot_decide_is_refused(workspace):
    """The judge's own rule on primary metrics holds here too."""
    with pytest.raises(BadSpec, match="cannot be the primary metric"):
        run(workspace, tuning([1, 2], primary="calibration_slope"))


@pytest.mark.parametrize(("n", "halving", "kept"), [(12, True, [4, 1]), (3, True, [1]), (12, False, [1])])
def test_rungs(n, halving, kept):
    """Few recipes are trained in full at once."""
    assert [rung.n_kept for rung in rungs(n, 3, halving=halving)] == kept
