"""The schemes, on layouts whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import splits
from grandrounds.errors import BadData, BadSpec, Leak
from grandrounds.splits import Fold, SplitPlan, SplitSpec


def cohort(n_patients=(12, 8), n_cases=3):
    """Cases of patients who each have one class; `n_patients` per class."""
    rows = [
        (f"{name}{patient}-{case}", f"{name}{patient}", name)
        for name, n in zip("abcdef", n_patients, strict=False)
        for patient in range(n)
        for case in range(n_cases)
    ]
    return pl.DataFrame(rows, schema=["case", "patient", "label"], orient="row")


def with_roles(cases, roles):
    """The cases with an official role by patient number."""
    number = pl.col("patient").str.slice(1).cast(pl.Int64)
    return cases.with_columns(role=number.replace_strict(dict(enumerate(roles)), return_dtype=pl.String))


def draw(cases, **spec):
    return splits.draw(cases, SplitSpec(**spec), 0, fingerprint="data")


def n_patients(plan, fold=Fold(0, 0)):  # noqa: B008  (a fold is frozen)
    """How many patients each role has."""
    rows = plan.roles(fold).join(plan.table.select("case", "patient").unique(), on="case")
    return dict(rows.group_by("role").agg(pl.col("patient").n_unique()).rows())


def test_auto_draws_folds_where_no_split_came_with_the_data():
    """Five folds of a fifth of the patients each, 15 % of the rest for valid."""
    plan = draw(cohort((50, 50)))

    assert plan.spec.scheme == "kfold"
    assert len(plan.folds()) == 5
    assert n_patients(plan) == {"test": 20, "valid": 12, "train": 68}
    assert plan.notes == ()


def test_folds_are_as_even_as_those_of_scikit_learn():
    """The share of each class in each fold strays no further than with StratifiedGroupKFold."""
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(3)
    cases = cohort((20, 14, 9), 1).select(pl.all().repeat_by(pl.Series(rng.integers(1, 20, 43)))).explode(pl.all())
    cases = cases.with_columns(case=pl.int_range(pl.len()).cast(pl.String)).sort("case")
    tests = [
        plan_cases(draw(cases, scheme="kfold"), fold, "test") for fold in range(5)
    ]  # fmt: skip
    folder = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    theirs = [cases[rows.tolist()] for _, rows in folder.split(cases, cases["label"], cases["patient"])]

    assert spread(tests, cases) <= spread(theirs, cases) + 0.01


def plan_cases(plan, fold, role):
    return plan.table.filter(pl.col("fold") == fold, pl.col("role") == role)


def spread(parts, cases):
    """The greatest distance of a class's share in a part from an even one."""
    return max(
        abs((part["label"] == name).sum() / (cases["label"] == name).sum() - 1 / len(parts))
        for part in parts
        for name in "abc"
    )


def test_repeats_are_drawn_apart():
    """Each repeat tests every case once, in other folds."""
    plan = draw(cohort(), scheme="kfold", folds=3, repeats=2)
    first, second = (plan.table.filter(pl.col("repeat") == repeat).drop("repeat") for repeat in range(2))

    assert plan.folds() == [Fold(repeat, fold) for repeat in range(2) for fold in range(3)]
    assert not first.equals(second)


def test_a_rare_class_means_fewer_folds_and_says_so():
    """Three patients of a class allow three folds."""
    plan = draw(cohort((12, 3)))

    assert plan.spec.folds == 3
    assert plan.notes == ("3 folds instead of 5: the class 'b' has 3 patients.",)


@pytest.mark.parametrize("scheme", ["kfold", "holdout"])
def test_too_few_patients_of_a_class_are_refused_by_name_and_number(scheme):
    """One patient cannot stand in train and test."""
    with pytest.raises(BadData, match="the class 'b' has 1 patient: too few"):
        draw(cohort((12, 1)), scheme=scheme)


@pytest.mark.parametrize("scheme", ["kfold", "holdout"])
def test_one_class_alone_is_refused(scheme):
    """There is nothing to tell apart."""
    with pytest.raises(BadData, match="every labelled case is of the class 'a'"):
        draw(cohort((12,)), scheme=scheme)


def test_a_hold_out_has_the_shares_asked_for():
    """A quarter is tested."""
    plan = draw(cohort((40, 40), 1), scheme="holdout", test_fraction=0.25, valid_fraction=0.2)

    assert n_patients(plan) == {"test": 20, "valid": 12, "train": 48}


def test_an_official_split_is_used_as_given():
    """The roles that came with the data are the plan."""
    cases = with_roles(cohort((4, 4)), ["train", "train", "valid", "test"])
    plan = draw(cases)

    assert plan.spec.scheme == "official"
    assert plan.roles(Fold(0, 0)).equals(cases.select("case", "role").sort("case"))
    assert (plan.notes, plan.leaky) == ((), False)


def test_valid_serves_as_test_where_the_archive_has_none():
    """The published test part may be missing: valid takes its place and a new valid is drawn from train."""
    plan = draw(with_roles(cohort((10, 10)), ["train"] * 8 + ["valid"] * 2))

    assert n_patients(plan)["test"] == 4
    assert n_patients(plan)["valid"] > 0
    assert ["serves as test" in plan.notes[0], "leaves no valid" in plan.notes[1]] == [True, True]


@pytest.mark.parametrize("closed", ["test", "valid"])
def test_folds_inside_leave_the_official_test_role_closed(closed):
    """Folds divide the others by patient; where no role is called test, valid is the one that stays closed."""
    cases = with_roles(cohort((12, 12)), ["train"] * 9 + ["valid" if closed == "test" else "train"] + [closed] * 2)
    plan = draw(cases, scheme="inside", folds=3)
    again = draw(cases.filter(pl.col("role") != closed).drop("role"), scheme="kfold", folds=3)

    assert set(plan.table["case"]) == set(cases.filter(pl.col("role") != closed)["case"])
    assert plan.table.equals(again.table)
    assert plan.notes[0] == "The official test role stays closed: 12 cases have no part in this study."
    assert plan.spec.scheme == "inside"
    assert plan.opens != draw(cases, scheme="official").opens == plan.fingerprint


@pytest.mark.parametrize(
    ("scheme", "asked"), [("holdout", {"folds": 3}), ("official", {"folds": 10}), ("official", {"repeats": 2})]
)
def test_what_a_scheme_takes_no_notice_of_is_refused(scheme, asked):
    """Whoever asks for ten folds and for an official split wants one of the two."""
    cases = with_roles(cohort((20, 20)), ["train"] * 12 + ["valid"] * 4 + ["test"] * 4)
    with pytest.raises(BadSpec, match=r"are asked for"):
        draw(cases, scheme=scheme, **asked)
    assert draw(cases, folds=10).spec.scheme == "official"


def test_an_official_leak_runs_under_a_watermark():
    """A patient in the official train and test makes the plan leaky; nobody is moved."""
    cases = with_roles(cohort((4, 4)), ["train", "train", "valid", "test"])
    cases = cases.with_columns(role=pl.when(pl.col("case") == "a0-1").then(pl.lit("test")).otherwise("role"))
    plan = draw(cases)

    assert plan.leaky
    assert plan.notes[0].startswith("LEAKY: two sides of the official split share 1 patient")


def test_a_split_by_sample_is_leaky_only_where_a_patient_straddles():
    """Grouping by sample imitates older papers; patients with one case each cannot leak."""
    assert draw(cohort(), group="sample").leaky
    assert not draw(cohort(n_cases=1), group="sample").leaky


def test_unlabelled_cases_take_no_part_and_are_counted():
    """A null label keeps a case out of every role."""
    cases = cohort().with_columns(label=pl.when(pl.col("case") == "a0-0").then(None).otherwise("label"))
    plan = draw(cases)

    assert "a0-0" not in set(plan.table["case"])
    assert plan.notes == ("1 of 60 cases have no label and take no part.",)


def test_other_spellings_of_a_patient_are_told():
    """Somebody should look at the ids."""
    cases = cohort().with_columns(patient=pl.when(pl.col("case") == "a0-0").then(pl.lit(" A0")).otherwise("patient"))

    assert draw(cases).notes == ("1 patient id is another spelling of one met before: taken for the same patient.",)


def test_valid_needs_at_least_one_patient():
    """Two patients of each class leave nobody to choose the best epoch on."""
    with pytest.raises(BadData, match="too few"):
        draw(cohort((2, 2)), scheme="kfold")


def test_an_official_scheme_without_roles_is_refused():
    """Asking for what is not there is an error with a remedy."""
    with pytest.raises(BadData, match="no official split"):
        draw(cohort(), scheme="official")
    with pytest.raises(BadData, match="no official test role"):
        draw(cohort(), scheme="inside")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cases: cases.drop("patient"), "column patient is missing"),
        (lambda cases: pl.concat([cases, cases.head(1)]), "two rows"),
        (lambda cases: cases.with_columns(patient=pl.lit(None)), "a name and a patient"),
        (lambda cases: cases.with_columns(label=pl.lit(None)), "no case has a label"),
    ],
)
def test_a_bad_table_of_cases_is_refused(change, message):
    """The message says what is wrong with it."""
    with pytest.raises(BadData, match=message):
        draw(change(cohort()))


def test_a_saved_plan_comes_back_the_same(tmp_path):
    """Table, spec, seed, fingerprint, notes and identity survive the file."""
    plan = draw(cohort((12, 3)))
    again = SplitPlan.load(plan.save(tmp_path / "splits.parquet"))

    assert again.identity == plan.identity
    assert (again.spec, again.seed, again.notes) == (plan.spec, plan.seed, plan.notes)


def test_a_plan_changed_on_disk_is_refused(tmp_path):
    """A plan is drawn once; a file that was touched since is none."""
    plan = draw(cohort())
    path = plan.save(tmp_path / "splits.parquet")
    metadata = {name: text for name, text in pl.read_parquet_metadata(path).items() if name == "grandrounds"}
    swap = pl.col("fold").replace({0: 1, 1: 0})
    plan.table.with_columns(swap).write_parquet(path, metadata=metadata)

    with pytest.raises(BadData, match="changed after it was drawn"):
        SplitPlan.load(path)


def test_a_plan_refuses_other_data():
    """The fingerprint of the dataset must be the one that it was drawn for."""
    plan = draw(cohort())
    plan.refuse_foreign("data")

    with pytest.raises(BadSpec, match="drawn for other data"):
        plan.refuse_foreign("other data")


def test_inner_folds_stay_inside_train():
    """Out-of-fold predictions of the train role never meet valid or test, and no patient is cut."""
    plan = draw(cohort((20, 20)))
    fold = plan.folds()[1]
    inner = plan.inner(fold, 3, seed=5, roles=("train",))
    train = plan.roles(fold).filter(pl.col("role") == "train")["case"]

    assert set(inner.table["case"]) == set(train)
    assert len(inner.folds()) == 3
    assert not inner.leaky
    assert inner.identity == plan.inner(fold, 3, seed=5, roles=("train",)).identity


def test_inner_folds_of_train_and_valid_leave_test_out():
    """What tunes may look at all but the test role."""
    plan = draw(cohort((20, 20)))
    fold = plan.folds()[0]
    inner = plan.inner(fold, 3, seed=5, roles=("train", "valid"))
    theirs = plan.roles(fold).filter(pl.col("role") != "test")["case"]

    assert set(inner.table["case"]) == set(theirs)
    assert sorted(inner.table.filter(pl.col("role") == "test")["case"]) == sorted(theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("role").replace({"test": "exam"}), "no role 'exam'"),
        (pl.lit("train").alias("role"), "cases to test on"),
    ],
)
def test_a_plan_with_broken_roles_cannot_be_built(change, message):
    """Roles are known names, and each fold has both sides."""
    plan = draw(cohort())

    with pytest.raises(BadData, match=message):
        SplitPlan(plan.table.with_columns(change), plan.spec, 0, "data")


def test_a_plan_that_lost_a_case_cannot_be_built():
    """Every case has a role in every fold."""
    plan = draw(cohort())

    with pytest.raises(BadData, match="one role in every fold"):
        SplitPlan(plan.table[1:], plan.spec, 0, "data")


def test_a_leak_names_the_number_of_patients_and_never_their_ids():
    """The message goes to logs; three cases are enough to find the rest."""
    plan = draw(cohort().with_columns(patient="secret-" + pl.col("patient")), group="sample")

    with pytest.raises(Leak, match=r"share \d+ patients") as caught:
        SplitPlan(plan.table, plan.spec.replaced(group="patient"), 0, "data")
    assert "secret" not in str(caught.value)
