"""What every split plan promises, for any layout of patients and labels."""

from __future__ import annotations

import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grandrounds import splits, tables
from grandrounds.errors import BadData, Leak
from grandrounds.splits import SplitPlan, SplitSpec
from grandrounds.splits import deal as dealing

PROPERTY = settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

# Spellings of one and the same id, as exports of different systems have them.
SPELLINGS = (
    lambda name: name,
    lambda name: name.upper(),
    lambda name: f" {name}  ",
    lambda name: f"{name}\x00",
    lambda name: f"\u200b{name}",
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in name),  # full width
)


@st.composite
def layouts(draw: st.DrawFn) -> pl.DataFrame:
    """A table of cases: few or many cases a patient, mixed labels within a patient, ids spelt at random."""
    classes = draw(st.sampled_from(["ab", "abc"]))
    rows = []
    for patient in range(draw(st.integers(4, 11))):
        usual = draw(st.sampled_from(classes))
        for _ in range(draw(st.integers(1, 3))):
            spell = draw(st.sampled_from(SPELLINGS))
            label = draw(st.sampled_from([usual, usual, usual, *classes, None]))
            rows.append((f"case {len(rows)}", spell(f"süd-{patient}"), label, str(patient)))
    return pl.DataFrame(rows, schema=["case", "patient", "label", "person"], orient="row")


specs = st.builds(SplitSpec, scheme=st.just("holdout"), repeats=st.integers(1, 2)) | st.builds(
    SplitSpec, scheme=st.sampled_from(["auto", "kfold"]), folds=st.integers(2, 4), repeats=st.integers(1, 2)
)


def drawn(cases: pl.DataFrame, spec: SplitSpec, seed: int = 0) -> SplitPlan | None:
    """The plan, or None where it was rightly refused."""
    try:
        return splits.draw(cases.drop("person"), spec, seed, fingerprint="data")
    except BadData:
        return None


@PROPERTY
@given(layouts(), specs, st.integers(0, 9))
def test_a_drawn_plan_keeps_its_promises(cases, spec, seed):
    """No person has two roles in a fold, every labelled case has one, and every class is tested and trained on."""
    plan = drawn(cases, spec, seed)
    labelled = cases.filter(pl.col("label").is_not_null())
    if plan is None:
        return
    table = plan.table.join(cases.select("case", "person"), on="case")

    assert not plan.leaky
    assert table.group_by("repeat", "fold", "person").agg(pl.col("role").n_unique())["role"].max() == 1
    for fold in plan.folds():
        roles = plan.roles(fold).join(labelled.select("case", "label"), on="case")
        assert sorted(roles["case"]) == sorted(labelled["case"])
        for role in ("train", "test"):
            assert set(roles.filter(pl.col("role") == role)["label"]) == set(labelled["label"])
        assert "valid" in set(roles["role"])
    if plan.spec.scheme == "kfold":
        tested = table.filter(pl.col("role") == "test").group_by("repeat").agg(pl.col("case").sort())
        assert all(sorted(labelled["case"]) == found.to_list() for found in tested["case"])


@settings(PROPERTY, max_examples=100)
@given(layouts(), specs, st.randoms(use_true_random=False))
def test_a_plan_depends_on_the_cases_and_the_seed_alone(cases, spec, random):
    """The same cases in another order give the same plan."""
    order = random.sample(range(cases.height), cases.height)
    plan, again = drawn(cases, spec), drawn(cases[order], spec)

    assert (plan is None) == (again is None)
    assert plan is None or plan.identity == again.identity


@settings(PROPERTY, max_examples=100)
@given(layouts(), st.data())
def test_a_planted_leak_is_refused_when_the_plan_is_built(cases, data):
    """One case moved to another side than the rest of its patient is a leak, however the id is spelt."""
    plan = drawn(cases, SplitSpec(scheme="kfold"))
    several = cases.filter(pl.col("label").is_not_null(), pl.len().over("person") > 1)["case"].to_list()
    if plan is None or not several:
        return
    victim = data.draw(st.sampled_from(several))
    away = pl.when(pl.col("case") == victim, pl.col("fold") == 0)
    role = away.then(pl.col("role").replace({"train": "valid", "valid": "train", "test": "train"})).otherwise("role")
    siblings = cases.filter(pl.col("label").is_not_null(), pl.col("person") == cases.filter(case=victim)["person"][0])
    if siblings.height < 2:
        return

    with pytest.raises(Leak, match=r"share 1 patient"):
        SplitPlan(plan.table.with_columns(role=role), plan.spec, plan.seed, plan.fingerprint)


@PROPERTY
@given(st.text(max_size=8), st.sampled_from(SPELLINGS[1:]))
def test_spellings_of_one_id_are_one_patient(name, spell):
    """Case, padding, NUL, invisible signs, Unicode form and full-width signs do not make another patient."""
    first, second = tables.patient_keys(pl.Series([name, spell(name)]))

    assert first == second


@pytest.mark.parametrize("other", ["00007", "7.0", "\uff17", " 7 "])
def test_a_number_with_zeros_about_it_is_the_same_patient(other):
    """Spreadsheets drop leading zeros, and a column of numbers with gaps gains decimals; whoever has both is one."""
    rows = [(f"case {at}", "7" if at % 2 else other, "ab"[at % 2]) for at in range(4)]
    rows += [(f"case {at}", f"{at}", "ab"[at % 2]) for at in range(10, 40)]
    cases = pl.DataFrame(rows, schema=["case", "patient", "label"], orient="row")
    plan = splits.draw(cases, SplitSpec(scheme="kfold"), 0, fingerprint="data")

    assert any("1 patient id is another spelling" in note for note in plan.notes)
    for fold in plan.folds():
        assert plan.roles(fold).filter(pl.col("case").is_in([f"case {at}" for at in range(4)]))["role"].n_unique() == 1
    hashes = tables.patient_hashes(pl.Series(["7", other]))
    assert hashes[0] == hashes[1]


def test_a_great_many_groups_are_dealt_by_the_same_rule(monkeypatch):
    """The compiled loop gives what the one for few groups gives."""
    counts = np.random.default_rng(0).integers(0, 4, (2_000, 3))
    asked = {"shares": np.array([0.5, 0.3, 0.2]), "seed": 1, "priority": np.ones(3, np.int64)}
    few = dealing.deal(counts, **asked)
    monkeypatch.setattr(dealing, "_MANY", 0)

    np.testing.assert_array_equal(dealing.deal(counts, **asked), few)
