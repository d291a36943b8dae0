"""The role calib: drawn where train has patients to spare, by patient, and nowhere else."""

from __future__ import annotations

import polars as pl
import pytest

from grandrounds import splits, tables
from grandrounds.errors import BadData, BadSpec
from grandrounds.specs import parse
from grandrounds.splits import Fold, SplitPlan, SplitSpec


def cohort(n_patients, n_cases=1, roles=None):
    """Cases of patients who each have one class; `n_patients` a class, every tenth in another official role."""
    rows = [
        (f"{name}{patient}-{case}", f"{name}{patient}", name, (roles or {}).get(patient % 10, "train"))
        for name, n in zip("abc", n_patients, strict=False)
        for patient in range(n)
        for case in range(n_cases)
    ]
    frame = pl.DataFrame(rows, schema=["case", "patient", "label", "role"], orient="row")
    return frame if roles else frame.drop("role")


def draw(cases, **spec):
    return splits.draw(cases, SplitSpec(**spec), 0, fingerprint="data")


def counted(plan, role, by="patient"):
    """How many patients, or cases, of each class stand in a role of the first fold."""
    rows = plan.roles(Fold(0, 0)).filter(role=role).join(plan.table.unique("case"), on="case", suffix="_first")
    return dict(rows.group_by("label").agg(pl.col(by).n_unique()).sort("label").iter_rows())


def test_many_patients_lend_a_twentieth_of_train_to_calib():
    """With patients to spare each fold sets five in a hundred apart, by patient, alike in class, and says so."""
    plan = draw(cohort((1200, 600), n_cases=2), scheme="kfold", folds=3)
    n_calib, n_train = sum(counted(plan, "calib").values()), sum(counted(plan, "train").values())

    assert n_calib == pytest.approx(0.05 * (n_calib + n_train), abs=2)
    assert counted(plan, "calib")["a"] == pytest.approx(2 * counted(plan, "calib")["b"], abs=2)
    assert plan.spec.calib == 0.05
    assert "calib" in plan.notes[-1]
    assert not plan.leaky
    for fold in plan.folds():
        rows = plan.roles(fold).join(plan.table.unique("case").select("case", "patient"), on="case")
        assert rows.group_by("patient").agg(pl.col("role").n_unique())["role"].max() == 1


@pytest.mark.parametrize(
    "n_patients", [(400, 400), (1900, 100)], ids=["no fifty patients in a twentieth", "a rare class"]
)
def test_too_few_patients_keep_train_whole(n_patients):
    """Where a twentieth of train is no fifty patients, or no ten of each class, the plan is as it was without calib."""
    plan, without = (draw(cohort(n_patients), scheme="holdout", calib=calib) for calib in ("auto", "none"))

    assert "calib" not in set(plan.table["role"])
    assert plan.identity == without.identity
    assert plan.spec.calib == "none"
    assert plan.notes == without.notes


def test_an_official_split_lends_from_train_alone():
    """Valid and test stay as they came; calib is a part of train."""
    cases = cohort((900, 900), roles={8: "valid", 9: "test"})
    plan = draw(cases)
    roles = plan.roles(Fold(0, 0)).rename({"role": "now"}).join(cases, on="case")

    assert plan.spec.scheme == "official"
    assert roles.filter(now="calib")["role"].unique().to_list() == ["train"]
    for role in ("valid", "test"):
        assert set(roles.filter(now=role)["case"]) == set(roles.filter(role=role)["case"])


def test_a_share_that_was_asked_for_is_drawn_or_refused():
    """A tenth of 720 patients is enough; a tenth of 90 is refused with the numbers; none is none."""
    assert sum(counted(draw(cohort((450, 450)), scheme="holdout", calib=0.1), "calib").values()) > 50
    with pytest.raises(BadData, match="calib would have") as caught:
        draw(cohort((60, 60)), scheme="holdout", calib=0.1)
    assert 'calib = "none"' in str(caught.value)
    assert "calib" not in set(draw(cohort((900, 900)), scheme="holdout", calib="none").table["role"])


@pytest.mark.parametrize("calib", [0, 0.9, "some"])
def test_no_other_word_or_share_is_taken(calib):
    """Auto, none, or up to a half."""
    with pytest.raises(BadSpec):
        parse(SplitSpec, {"calib": calib})


def test_a_split_by_sample_sets_nothing_apart_by_itself():
    """It imitates older papers, which knew no such role; its arm must not differ by that from the honest one."""
    assert "calib" not in set(draw(cohort((1200, 1200)), scheme="holdout", group="sample").table["role"])


def test_inner_folds_set_nothing_apart():
    """Inside train every patient is needed, and those in calib stay out of it."""
    plan = draw(cohort((1200, 1200)), scheme="holdout")
    inner = plan.inner(Fold(0, 0), 3, seed=1, roles=("train",))

    assert set(inner.table["role"]) == {"train", "valid", "test"}
    assert not set(inner.table["case"]) & set(plan.roles(Fold(0, 0)).filter(role="calib")["case"])


def test_a_plan_of_an_earlier_version_opens_as_it_was_drawn(tmp_path):
    """A file whose spec knows no calib is read, and its identity stays."""
    plan = draw(cohort((900, 900)), scheme="holdout", calib="none")
    frame, meta = tables.read(tables.SPLITS, plan.save(tmp_path / "splits.parquet"))
    meta["spec"].pop("calib")
    tables.write(frame, tables.SPLITS, tmp_path / "old.parquet", meta)

    assert SplitPlan.load(tmp_path / "old.parquet").identity == plan.identity
