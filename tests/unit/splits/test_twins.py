"""Patients who share an image are dealt together, whatever ids they have."""

from __future__ import annotations

import polars as pl
import pytest

from grandrounds import splits
from grandrounds.splits import SplitSpec
from grandrounds.splits.twins import MOST_PATIENTS, with_twins

N = 40


def samples(shared, low=0.0, high=9.0):
    """An image of each of forty patients, and another of each in a group of `shared`, the same for the whole group."""
    rows = [(f"c{at}", f"p{at}", f"own {at}", 0.0, 9.0) for at in range(N)]
    rows += [(f"c{at}", f"p{at}", f"shared {n}", low, high) for n, group in enumerate(shared) for at in group]
    return pl.DataFrame(rows, schema=["case", "patient", "sha256", "low", "high"], orient="row")


def cases(shared, **more):
    found = samples(shared, **more)
    labels = pl.Series("label", ["ab"[at % 2] for at in range(N)])
    return with_twins(found.select("case", "patient").head(N).with_columns(labels), found)


def torn(plan, group):
    """In how many folds the cases of these patients have more than one role."""
    ours = plan.table.filter(pl.col("case").is_in([f"c{at}" for at in group]))
    return ours.group_by("repeat", "fold").agg(pl.col("role").n_unique()).filter(pl.col("role") > 1).height


@pytest.mark.parametrize("scheme", ["kfold", "holdout"])
def test_patients_who_share_an_image_have_one_role_in_every_fold(scheme):
    """Also where only a third links two of them, and in the folds inside the train role."""
    shared = [(0, 7), (7, 20), (3, 12)]
    plan = splits.draw(cases(shared), SplitSpec(scheme=scheme, repeats=4), 0, fingerprint="data")

    assert [torn(plan, group) for group in ((0, 7, 20), (3, 12))] == [0, 0]
    assert any("5 patients share an image" in note for note in plan.notes)
    fold = next(one for one in plan.folds() if set(plan.roles(one).filter(role="train")["case"]) >= {"c0", "c7", "c20"})
    assert torn(plan.inner(fold, 3, seed=0, roles=("train",)), (0, 7, 20)) == 0


def test_without_it_they_would_be_parted():
    """The same seed parts strangers, so that the test above can fail."""
    plan = splits.draw(cases([]), SplitSpec(scheme="kfold", repeats=4), 0, fingerprint="data")

    assert torn(plan, (0, 7, 20)) > 0
    assert "together" not in plan.table.columns


def test_all_images_of_both_go_along():
    """A case that shares nothing stays with the case of its patient that does."""
    again = samples([]).select("patient", case="again " + pl.col("case"))
    found = pl.concat([samples([(0, 1)]), again], how="diagonal")
    given = with_twins(found.select("case", "patient").unique(maintain_order=True), found)

    assert given.filter(pl.col("together").is_not_null())["case"].sort().to_list() == [
        "again c0", "again c1", "c0", "c1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shared", "values"), [([(0, 1)], {"low": 3.0, "high": 3.0}), ([tuple(range(MOST_PATIENTS + 1))], {})]
)
def test_what_shows_nobody_binds_nobody(shared, values):
    """Neither an image of one value, nor one that many have."""
    assert "together" not in cases(shared, **values).columns


def test_by_sample_nobody_is_kept_together():
    """That scheme imitates papers that knew no patients; it is watermarked anyhow where patients are parted."""
    spec = SplitSpec(scheme="kfold", group="sample", repeats=4)
    plan = splits.draw(cases([(0, 7)]), spec, 0, fingerprint="data")

    assert torn(plan, (0, 7)) > 0


def test_a_twin_of_somebody_who_is_always_trained_on_is_so_too():
    """Where some patients are a pool of training cases, whoever shares an image with them is never tested."""
    roles = pl.Series("role", ["train" if at < 4 else None for at in range(N)], dtype=pl.String)
    plan = splits.draw(cases([(1, 9)]).with_columns(roles), SplitSpec(), 0, fingerprint="data")

    assert set(plan.table.filter(case="c9")["role"]) == {"train"}


def test_a_saved_plan_is_the_same(tmp_path):
    """Who stays together is part of the file, and of its hash."""
    plan = splits.draw(cases([(0, 7)]), SplitSpec(), 0, fingerprint="data")
    again = splits.SplitPlan.load(plan.save(tmp_path / "splits.parquet"))

    assert again.identity == plan.identity
    assert again.table.equals(plan.table)
