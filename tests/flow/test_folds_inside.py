"""Families compared while the official test role stays closed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import api, data, tables
from grandrounds.errors import BadData
from grandrounds.splits import ledger
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means
from grandrounds.wording import many

N = {"train": 40, "val": 12, "test": 24}


def archive(path, seed=0):
    """Write an archive of dark and bright images in three parts; those of test are drawn from the seed."""
    arrays = {}
    for at, (part, n) in enumerate(N.items()):
        rng = np.random.default_rng([at, seed if part == "test" else 0])
        labels = np.arange(n) % 2
        arrays[f"{part}_images"] = np.clip(rng.normal(90 + 40 * labels[:, None, None], 30, (n, 16, 16)), 0, 255)
        arrays[f"{part}_images"] = arrays[f"{part}_images"].astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None]
    np.savez(path, **arrays)
    return path


def asked(source, scheme):
    folds = {"folds": 3} if scheme == "inside" else {}
    return Ask(
        name="inside", data=DataSpec(source=str(source), names=True), families=("prior", "lbp-svm"), seeds=1,
        split={"scheme": scheme} | folds, judge=JudgeSpec(resamples=100), means=Means(budget_s=10, workers=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished study inside train and valid, and its archive."""
    home = tmp_path_factory.mktemp("inside")
    source = archive(home / "set.npz")
    return api.run(asked(source, "inside"), home / "run").folder, source


def test_no_case_of_the_official_test_role_has_a_part(run):
    """Each of the others is tested once, and the report says how it was divided and what stayed closed."""
    rows = tables.read(tables.PREDICTIONS, run[0] / "predictions.parquet").frame
    tested = rows.filter(pl.col("role") == "test", pl.col("family") == "lbp-svm")["sample"]
    page = (run[0] / "report.html").read_text()

    assert tested.len() == tested.n_unique() == N["train"] + N["val"]
    assert not any(sample.startswith("test") for sample in rows["sample"])
    assert f"The official test role stays closed: {N['test']} cases have no part in this study." in page
    assert "Families, best first, on folds inside the official train and valid, one value per" in page
    assert "Cases outside of the official test role, which stayed closed, were divided by patient" in page
    assert "The ledger beside the data counts 6 openings of folds inside the official train and valid" in page


def test_nothing_learned_depends_on_the_closed_images(run, tmp_path):
    """With other images and labels in its place the same rows get the same probabilities."""
    other = api.run(asked(archive(tmp_path / "set.npz", seed=1), "inside"), tmp_path / "run").folder
    mine, theirs = (
        tables.read(tables.PREDICTIONS, folder / "predictions.parquet").frame.sort("family", "fold", "role", "sample")
        for folder in (run[0], other)
    )

    assert mine.select("sample", "^prob_.*$").equals(theirs.select("sample", "^prob_.*$"))


def test_the_ledger_counts_no_opening_of_the_official_test_role(tmp_path):
    """Folds inside have a count of their own; a study of the official split begins to count."""
    source = archive(tmp_path / "set.npz")
    opened = data.open_dataset(str(source))
    api.run(asked(source, "inside"), tmp_path / "inside")
    before = ledger.count(opened.root, opened.fingerprint).n
    api.run(asked(source, "official"), tmp_path / "official")

    assert before == 0
    assert ledger.count(opened.root, f"{opened.fingerprint}-inside").n == 6
    assert ledger.count(opened.root, opened.fingerprint).n == 2


def test_the_closed_cases_can_be_judged_by_the_model_that_ships(run):
    """They alone are, beside the folds at home, and the ledger has one more opening of the official test role."""
    folder, source = run
    opened = data.open_dataset(str(source))
    before = ledger.count(opened.root, opened.fingerprint).n
    came = api.evaluate(folder, str(source), role="test")
    judged = tables.read(tables.PREDICTIONS, came.folder / "predictions.parquet").frame["sample"].unique()
    auc = came.found.filter(pl.col("what") == "auc", pl.col("label").is_null()).row(0, named=True)

    assert judged.len() == auc["n_samples"] == N["test"]
    assert all(sample.startswith("test") for sample in judged)
    assert auc["home"] is not None
    assert ledger.count(opened.root, opened.fingerprint).n == before + 1
    assert "calls test are judged" in came.page.read_text()
    assert "home is folds inside the official train and valid of the study." in came.page.read_text()
    again = api.evaluate(folder, str(source), role="test")
    assert f"counts {many(before + 1, 'opening')} before this one." in " ".join(again.notes)


def test_those_with_a_part_in_the_folds_cannot_be_judged(run):
    """Neither with all others, where the way is named, nor by their role."""
    with pytest.raises(BadData, match="52 of 76 images have the pixels of images of the study") as refused:
        api.evaluate(run[0], str(run[1]))

    assert "--only test" in str(refused.value)
    with pytest.raises(BadData, match="images of the study"):
        api.evaluate(run[0], str(run[1]), role="train")


def test_a_role_that_the_data_give_nobody_is_refused(run, tmp_path):
    """With the roles that they do give."""
    arrays = np.load(run[1])
    np.savez(tmp_path / "set.npz", **{name: arrays[name] for name in arrays.files if not name.startswith("val")})
    with pytest.raises(BadData, match="the role valid: they have: test, train"):
        api.evaluate(run[0], str(tmp_path / "set.npz"), role="valid")
