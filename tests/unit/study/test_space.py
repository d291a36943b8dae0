from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandrounds.errors import BadSpec
from grandrounds.families import params_of
from grandrounds.families.params import ResNetParams
from grandrounds.study.space import Between, candidates, one_by_one, shared, space_of, usual, with_usual


def test_a_space_is_read_as_it_is_written():
    """Numbers, words, lists, switches and ranges are told apart."""
    space = space_of(["batch_size=16,32", "optimiser=sgd,adamw", "levels=[4, 2],[2]", "test_mirror=true", "mixup=0..1"])

    assert space == {
        "batch_size": [16, 32],
        "optimiser": ["sgd", "adamw"],
        "levels": [[4, 2], [2]],
        "test_mirror": [True],
        "mixup": Between(0, 1),
    }


@pytest.mark.parametrize("text", ["mixup", "=1", "mixup=", "mixup=2..1", "mixup=a..b"])
def test_what_cannot_be_read_is_refused(text):
    """The message shows the form."""
    with pytest.raises(BadSpec, match="for example: --set"):
        space_of([text])


def test_all_combinations_come_once():
    """The grid holds every combination, and nothing twice."""
    tried = candidates({"a": [1, 2, 2], "b": ["x", "y"]}, None, seed=0)

    assert tried == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_random_combinations_differ_and_repeat():
    """The same seed draws the same few; ranges over decades are drawn evenly by their logarithm."""
    space = {"rate": Between(1e-5, 1e-1), "batch": Between(8, 64), "kind": ["x", "y"]}
    tried = candidates(space, 200, seed=3)

    assert tried == candidates(space, 200, seed=3)
    assert len({tuple(one.items()) for one in tried}) == 200
    assert all(1e-5 <= one["rate"] <= 1e-1 and isinstance(one["batch"], int) for one in tried)
    assert 70 < sum(one["rate"] < 1e-3 for one in tried) < 130


def test_a_range_has_no_every_value():
    """Ranges need a number of draws."""
    with pytest.raises(BadSpec, match="--random"):
        candidates({"rate": Between(1e-4, 1e-2)}, None, seed=0)


def test_the_usual_space_surrounds_the_recipe():
    """Learning rate, weight decay and batch size come first; a family that chooses for itself has none of them."""
    rate = params_of("resnet-18").learning_rate

    assert usual("resnet-18", params_of("resnet-18"))["learning_rate"][1] == rate
    with pytest.raises(BadSpec, match=r"thumbnail chooses(.|\n)*--set"):
        usual("thumbnail", params_of("thumbnail"))
    with pytest.raises(BadSpec, match="thumbnail chooses"):
        usual("ensemble:thumbnail", params_of("ensemble:thumbnail"))


def test_the_usual_space_of_what_is_made_of_another_family_is_that_ones():
    """A committee, a fusion and a network of exams have no learning rate beside that of their members."""
    rate = params_of("resnet-18").learning_rate

    assert usual("ensemble:resnet-18", params_of("ensemble:resnet-18"))["of.learning_rate"][1] == rate
    assert "of.batch_size" in usual("exams:joint:resnet-18", params_of("exams:joint:resnet-18"))


def test_one_by_one_each_recipe_departs_in_one_value():
    """Values are not combined."""
    assert one_by_one({"a": [1, 2], "b": ["x"]}) == [{"a": 1}, {"a": 2}, {"b": "x"}]


@pytest.mark.parametrize(
    ("given", "common"),
    [({"a": [1], "b": [2, 3]}, {"a": 1}), ({"a": [1], "b": [2]}, {}), ({"a": [1], "b": Between(0, 1)}, {"a": 1})],
)
def test_what_all_combinations_share_belongs_to_the_usual_recipe(given, common):
    """A value that never changes is not what is tried, unless nothing else is."""
    assert shared(given) == common


def test_the_usual_recipe_is_tried_once():
    """It is found under another spelling, and set in front where it is missing."""
    given = [{"max_epochs": 9}, {"max_epochs": 40}]

    assert with_usual(given, {}, lambda values: ResNetParams(**values)) == (given, 1)
    assert with_usual(given[:1], {}, lambda values: ResNetParams(**values)) == ([{}, given[0]], 0)


@given(st.floats(1e-6, 1e6), st.floats(1.0001, 1e4), st.integers(0, 1000), st.integers(-20, 20), st.integers(0, 30))
@settings(deadline=None)
def test_a_number_stays_between_its_ends(low, times, seed, whole, length):
    """However its digits are rounded."""
    random = np.random.default_rng(seed)

    assert low <= Between(low, low * times).drawn(random) <= low * times
    assert len({Between(0.104, 0.106).drawn(random) for _ in range(9)}) > 2
    assert Between(whole, whole + length).drawn(random) in range(whole, whole + length + 1)


def test_the_ends_of_whole_numbers_come_as_often_as_the_others():
    """Rounding would give each end half of what the numbers between get."""
    random = np.random.default_rng(0)
    drawn = np.bincount([Between(0, 3).drawn(random) for _ in range(4000)])

    assert drawn.min() > 900
