from __future__ import annotations

import polars as pl
import pytest

from grandrounds import splits
from grandrounds.data import open_dataset
from grandrounds.layouts.copies_geneva import write_talisman
from grandrounds.prepare import default_pipeline
from grandrounds.splits import SplitSpec


def test_names_tell_tissue_and_patient(tmp_path):
    """`healthy` is normal tissue, the patient stands behind his word, and the set is a part of the database."""
    dataset = open_dataset(write_talisman(tmp_path))

    rows = dataset.samples.join(dataset.labels, on="case").select("sample", "label", "patient").sort("sample").rows()
    assert rows == [
        ("emphysema_patch1_patient8_1", "emphysema", "8"),
        ("emphysema_patch7_patient142_1", "emphysema", "142"),
        ("fibrosis_patch3_patient142_1", "fibrosis", "142"),
        ("fibrosis_patch6_patient57_1", "fibrosis", "57"),
        ("ground_glass_patch2_patient57_1", "ground_glass", "57"),
        ("healthy_patch0_patient-1_1", "normal", "-1"),
        ("healthy_patch5_patient8_1", "normal", "8"),
        ("micronodules_patch4_patient-1_1", "micronodules", "-1"),
    ]
    assert dataset.name == "geneva-ild"
    assert "agreement" in dataset.licence


def test_sixteen_bits_below_zero(tmp_path):
    """Air is -1000, not 64,536."""
    dataset = open_dataset(write_talisman(tmp_path))

    assert dataset.samples["low"].min() >= -1000
    assert dataset.samples["low"].max() < -900
    assert dataset.samples["high"].unique().to_list() == [300.0]


def test_patches_are_scaled_as_hounsfield_units(tmp_path):
    """A TIFF cannot say its unit, so the source does: the same scale for every patch."""
    dataset = open_dataset(write_talisman(tmp_path))

    step = default_pipeline(dataset.samples, dataset.grey_range).pipeline.whole[0]

    assert step.model_dump() == {"step": "scale", "low": -1000.0, "high": 400.0}


def test_patient_minus_one_is_always_trained_on(tmp_path):
    """The pool trains in every fold; the others are tested once, patient by patient."""
    folder = tmp_path / "ILD_DB_talismanTestSuite"
    write_talisman(tmp_path)
    original = folder / "healthy_patch0_patient-1_1.tif"
    for patient in range(1, 7):
        for word in ("healthy", "emphysema", "ground_glass", "fibrosis", "micronodules"):
            copy = folder / f"{word}_patch9_patient{300 + patient}_1.tif"
            copy.write_bytes(original.read_bytes())
    dataset = open_dataset(folder)
    cases = (
        dataset.samples.select("case", "patient")
        .join(dataset.labels, on="case")
        .join(dataset.official, on="case", how="left")
    )

    plan = splits.draw(cases, SplitSpec(folds=3), 0, fingerprint="x")

    pool = plan.table.filter(patient="-1")
    assert pool.height == 2 * len(plan.folds()) == 6
    assert set(pool["role"]) == {"train"}
    tested = plan.table.filter(pl.col("role") == "test")
    assert set(tested["patient"]) == set(dataset.samples["patient"]) - {"-1"}
    assert not plan.leaky
    assert any("trained on in every fold" in note for note in plan.notes)


def test_a_strange_name_is_listed(tmp_path):
    """A file that is called otherwise, or shows a sixth tissue, is left out with its reason."""
    folder = write_talisman(tmp_path)
    for name in ("cysts_patch1_patient3_1.tif", "overview.tif"):
        (folder / name).write_bytes(b"x")

    reasons = set(open_dataset(folder).bad["reason"])

    assert reasons == {"the name of this file tells none of the five tissues", "the name of this file tells no patch"}


@pytest.mark.parametrize("folds", [2, 3])
def test_a_patient_of_the_pool_never_leaves_it(folds):
    """Cases without a role whose patient also has a case in the pool go there too: nobody is on two sides."""
    rows = [(f"c{n}", f"p{n // 2}", "ab"[n % 2], "train" if n == 0 else None) for n in range(12)]
    cases = pl.DataFrame(rows, schema=["case", "patient", "label", "role"], orient="row")

    plan = splits.draw(cases, SplitSpec(folds=folds), 0, fingerprint="x")

    assert set(plan.table.filter(patient="p0")["role"]) == {"train"}
    assert plan.table.height == 12 * folds
