"""One split for several tasks: the classes of each are spread evenly, and each task has its own labelled cases."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import splits
from grandrounds.errors import BadData
from grandrounds.splits import SplitSpec
from grandrounds.tables import straddling

TASKS = ("acl", "meniscus", "arthrosis")


@pytest.fixture
def truth():
    """A hundred and twenty patients with one case, forty of whom have two, and three tasks of unlike prevalence."""
    rng = np.random.default_rng(0)
    patients = [*range(120), *range(40)]
    labels = {
        name: [None if rng.random() < 0.1 else ("yes" if rng.random() < share else "no") for _ in patients]
        for name, share in zip(TASKS, (0.15, 0.3, 0.5), strict=True)
    }
    who = {"case": [f"c{at}" for at in range(len(patients))], "patient": [f"p{one}" for one in patients]}
    return pl.DataFrame(who | labels)


def asked(truth):
    """The cases as a draw for several tasks wants them."""
    named = (pl.concat_str(pl.lit(f"{name}: "), name) for name in TASKS)
    label = pl.concat_list(*named).list.drop_nulls()
    return truth.select("case", "patient", label=label).filter(pl.col("label").list.len() > 0)


def draw(cases, **spec):
    return splits.draw(cases, SplitSpec(**spec), 0, fingerprint="all")


def of(plan, truth, task):
    return plan.of_task(truth.select("case", label=task), task)


def test_the_classes_of_every_task_are_spread_evenly(truth):
    """In each of five folds the share of positive cases is near that of the whole, in every task."""
    plan = draw(asked(truth), scheme="kfold", calib="none")

    for task in TASKS:
        tested = of(plan, truth, task).table.filter(role="test")
        shares = tested.group_by("fold").agg(share=(pl.col("label") == "yes").mean())["share"]
        assert shares.len() == 5
        assert (shares - (truth[task].drop_nulls() == "yes").mean()).abs().max() < 0.06


def test_a_patient_has_one_role_in_every_task(truth):
    """The plans of the tasks agree wherever they speak of the same case, and no patient stands on two sides."""
    plan = draw(asked(truth), scheme="kfold", calib="none")
    rows = pl.concat(of(plan, truth, task).table.drop("label") for task in TASKS)

    assert rows.unique(["case", "repeat", "fold"]).height == rows.unique(["case", "repeat", "fold", "role"]).height
    assert straddling(rows.with_columns(who="patient")).is_empty()


def test_a_case_counts_in_the_tasks_that_know_its_label(truth):
    """Whoever has no label in a task is not in its plan, which goes with its data; somebody with none is in none."""
    nobody = truth.with_columns(pl.when(pl.col("case") == "c7").then(None).otherwise(pl.col(*TASKS)).name.keep())
    plan = draw(asked(nobody), scheme="holdout", calib="none")

    for task in TASKS:
        own = of(plan, nobody, task)
        assert set(own.table["case"]) == set(nobody.drop_nulls(task)["case"])
        assert own.table["label"].null_count() == 0
        assert own.fingerprint == task
    assert "c7" not in plan.table["case"]


def test_calib_has_patients_of_every_class_of_every_task(truth):
    """Where many patients are there a part of train is set apart, in the same way for all tasks."""
    many = pl.concat(truth.with_columns(pl.col("case", "patient") + f"-{turn}") for turn in range(12))
    plan = draw(asked(many), scheme="holdout", calib=0.1)

    for task in TASKS:
        assert set(of(plan, many, task).table.filter(role="calib")["label"]) == {"yes", "no"}


def test_a_task_with_too_few_patients_of_a_class_is_named(truth):
    """The message says which class of which task has too few."""
    one = pl.when(pl.col("case") == "c1").then(pl.lit("yes")).otherwise(pl.lit("no"))

    with pytest.raises(BadData, match="the class 'acl: yes' has 1 patient"):
        draw(asked(truth.with_columns(acl=one)), scheme="kfold")
