"""What `tune` makes of its options."""

from pathlib import Path

import pytest

from grandrounds import specs
from grandrounds.cli.tried import Tried
from grandrounds.data import SourceOptions
from grandrounds.errors import BadSpec
from grandrounds.study.spec import Study

KNEES = Path(__file__).parents[3] / "studies/knee-oa.toml"


@pytest.fixture
def study():
    """A planned study of ordered grades."""
    return specs.read(Study, KNEES)


def test_a_planned_study_says_what_decides_and_where_to_begin(study):
    """Its primary metric and the parameters that it has for the family hold for the tuning too."""
    tuning = Tried(set_=["max_epochs=40", "erase=0.3"], one_by_one=True).tuning(study, "resnet-18")

    assert tuning.primary == "quadratic_kappa"
    assert tuning.base == next(one.params for one in study.recipes if one.family == "resnet-18")
    assert tuning.tried == [{}, {"max_epochs": 40}, {"erase": 0.3}]
    assert tuning.usual == 0


def test_a_planned_study_is_run_with_other_means(study):
    """How many trainings run side by side changes no result."""
    assert Tried(workers=7).over(study, None).means == study.means.replaced(workers=7)
    assert Tried().over(study, None) == study


@pytest.mark.parametrize(("options", "read"), [({"folds": 3}, None), ({}, SourceOptions())])
def test_what_a_planned_study_settles_is_not_asked_for_anew(study, options, read):
    """An option that nobody would hear is refused."""
    with pytest.raises(BadSpec, match="its own data and split"):
        Tried(**options).over(study, read)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"across": 5, "on_folds": 2}, "give one of the two"),
        ({"one_by_one": True, "random": 4}, "give one of the two"),
        ({"across": 1}, "the fewest folds are two"),
    ],
)
def test_options_that_cannot_hold_are_refused(study, options, said):
    """Two that contradict each other, or one fold, which nothing could be trained for."""
    with pytest.raises(BadSpec, match=said):
        Tried(set_=["learning_rate=0.1,0.2"], **options).tuning(study, "resnet-18")


def test_a_list_without_brackets_is_told_how_it_is_written(study):
    """Commas part values that are tried one by one, so that a value which is a list needs its brackets."""
    with pytest.raises(BadSpec, match=r"costs: a list is wanted, in square brackets, such as \[1.0, 10.0, 100.0\]"):
        Tried(set_=["costs=1,10"]).tuning(study, "lbp-svm")

    listed = Tried(set_=["costs=[1,10],[1,100]"]).tuning(study, "lbp-svm")
    assert [one.get("costs") for one in listed.tried if one] == [[1, 10], [1, 100]]
