"""Families compared while the official test role stays closed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from grandrounds import api, data, tables
from grandrounds.splits import ledger
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means

N = {"train": 40, "val": 12, "test": 24}


def archive(path, seed=0):
    """Write an archive of dark and bright images in three parts; those of test are drawn from the seed."""
    arrays = {}
    for at, (part, n) in enumerate(N.items()):
        rng = np.random.default_rng([at, seed if part == "test" else 0])
        labels = np.arange(n) % 2
        arrays[f"{part}_images"] = np.clip(rng.normal(90 + 40 * labels[:, None, None], 30, (n, 8, 8)), 0, 255)
        arrays[f"{part}_images"] = arrays[f"{part}_images"].astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None]
    np.savez(path, **arrays)
    return path


def asked(source, scheme):
    return Ask(
        name="inside", data=DataSpec(source=str(source), names=True), families=("prior", "thumbnail"), seeds=1,
        split={"scheme": scheme, "folds": 3}, judge=JudgeSpec(resamples=100), means=Means(budget_s=10, workers=1),
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
    tested = rows.filter(pl.col("role") == "test", pl.col("family") == "thumbnail")["sample"]
    page = (run[0] / "report.html").read_text()

    assert tested.len() == tested.n_unique() == N["train"] + N["val"]
    assert not any(sample.startswith("test") for sample in rows["sample"])
    assert f"The official test role stays closed: {N['test']} cases have no part in this study." in page
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


def test_the_ledger_counts_no_opening_of_the_official_test_role(run, tmp_path):
    """Folds inside have a count of their own; a study of the official split begins to count."""
    opened = data.open_dataset(str(run[1]))
    before = ledger.count(opened.root, opened.fingerprint).n
    api.run(asked(run[1], "official"), tmp_path / "official")

    assert before == 0
    assert ledger.count(opened.root, f"{opened.fingerprint}-inside").n == 6
    assert ledger.count(opened.root, opened.fingerprint).n == 2
