from __future__ import annotations

import re

import pytest

from grandrounds import families
from grandrounds.cli import listing
from grandrounds.errors import BadSpec
from grandrounds.families import recipes
from grandrounds.families.prefixed import PREFIXED
from grandrounds.specs import parse
from grandrounds.study.spec import Ask, DataSpec, Recipe, Study


@pytest.mark.parametrize("name", families.FAMILIES.names())
def test_every_family_has_a_recipe(name):
    """It names its family and sets parameters that exist."""
    assert recipes.read(recipes.shipped()[name]).family == name
    assert families.params_of(name)


@pytest.mark.parametrize("prefix", sorted({one.name.partition("<")[0] for one in PREFIXED}))
def test_families_by_prefix_have_one_as_an_example(prefix):
    """The recipe of one that is made of another family stands for its kind."""
    assert [name for name in recipes.shipped() if prefix in name]


@pytest.mark.parametrize("name", sorted(recipes.shipped()))
def test_every_recipe_says_where_it_comes_from_and_what_to_expect(name):
    """It is of a family, and on top stand a reference, what is taken from it, our choice, expected time and result."""
    head = recipes.head(recipes.shipped()[name])

    assert recipes.read(recipes.shipped()[name]).family == name
    assert families.FAMILIES.get(name).name == name
    assert set(head) == {"recipe", "reference", "taken from it", "our choice", "expected time", "expected result"}
    assert all(head.values())
    assert re.match(r"\d+ s of a core|under 1 s of a core", head["expected time"])
    assert re.match(r"macro AUC of [01]\.\d{3} on valid", head["expected result"])


@pytest.mark.parametrize(
    "name", [name for name, path in recipes.shipped().items() if "learning_rate" in recipes.read(path).params]
)
def test_every_recipe_says_whether_its_learning_rate_was_swept(name):
    """Whoever takes it as it is knows what is left to try."""
    choice = recipes.head(recipes.shipped()[name])["our choice"]
    other = re.search(r"learning (?:rate )?as ([a-z0-9-]+), not swept", choice)

    assert re.search(r"learning.*(not swept|sweep)", choice)
    if other:
        assert recipes.params(name)["learning_rate"] == recipes.params(other[1])["learning_rate"]


def test_what_to_expect_stands_where_users_look():
    """The list of recipes and the description of a family show what the file says on top."""
    head = recipes.head(recipes.shipped()["nin"])
    row = next(one for one in listing.rows("recipes") if one["name"] == "nin")

    for key in ("taken from it", "our choice", "expected time", "expected result"):
        assert row[key] == head[key]
        assert f"  {key}: {head[key]}" in list(listing.recipe_lines("nin"))
    assert not list(listing.recipe_lines("timm:resnet18"))


def test_a_recipe_is_laid_over_what_makes_the_family():
    """A study may change one value, also inside a table, and the rest stays the recipe's."""
    params = families.params_of("deit-tiny", {"teacher": {"width": 0.125}})

    assert params.teacher.width == 0.125
    assert params.teacher.learning_rate == families.params_of("resnet-18").learning_rate
    assert families.params_of("resnet-50").variant == "resnet50"


def test_two_recipes_of_a_family_stand_side_by_side():
    """A name behind @ tells them apart; without it the second is refused with a hint."""
    wide = {"family": "resnet-18@wide", "params": {"width": 0.5}}
    ask = Ask(name="x", data=DataSpec(source="x"), families=("resnet-18",), recipes=(parse(Recipe, wide),))

    assert [one.params.width for one in ask.wanted.values()] == [0.25, 0.5]
    assert families.FAMILIES.get("resnet-18@wide").kind == "resnet"
    with pytest.raises(BadSpec, match="resnet-18@NAME"):
        parse(Ask, ask.model_dump() | {"recipes": [wide | {"family": "resnet-18"}]})


def test_unknown_recipes_are_refused():
    """On the command line a name behind @ must be that of a recipe that is here."""
    with pytest.raises(BadSpec, match="no recipe called 'resnet-18@wide'"):
        Ask(name="x", data=DataSpec(source="x"), families=("resnet-18@wide",))


def test_a_study_knows_what_was_asked_for():
    """Another value of a given recipe is a difference; the order of the families is, too."""
    given = parse(Recipe, {"family": "thumbnail@small", "params": {"side_px": 4}})
    ask = Ask(name="x", data=DataSpec(source="x"), families=("prior",), recipes=(given,), seeds=1)
    shared = {name: getattr(ask, name) for name in Study.model_fields if name in Ask.model_fields and name != "recipes"}
    study = Study(recipes=tuple(ask.wanted.values()), prepare={}, **shared)
    other = given.replaced(params={"side_px": 5})

    assert study.differences(ask) == []
    assert study.differences(study.asked()) == []
    assert study.differences(ask.replaced(recipes=[other.model_dump()])) == ["recipes"]
    assert study.differences(ask.replaced(families=("thumbnail",))) == [
        "families are prior, thumbnail@small, not thumbnail, thumbnail@small"
    ]
