"""A study whose network begins without labels: it runs, says so, and gives the same again."""

import polars as pl
import pytest
from tests.command import grandrounds

from grandrounds import tables

RECIPE = """
family = "li2014@begun"

[params]
max_epochs = 4
batch_size = 8
self_supervised = 0.5
"""


@pytest.fixture(scope="module")
def runs(archive, tmp_path_factory):
    """The same study, run in two folders from one plan."""
    cwd = tmp_path_factory.mktemp("begun")
    (cwd / "begun.toml").write_text(RECIPE)

    wanted = ("--families", "prior,begun.toml", "--seeds", "1", "--budget", "60s", "--resamples", "200", "--workers", 1)
    grandrounds("plan", archive, *wanted, "-o", "one", cwd=cwd)
    (cwd / "two.toml").write_text((cwd / "one/study.toml").read_text())
    grandrounds("run", "one", cwd=cwd)
    grandrounds("run", "two.toml", "-o", "two", cwd=cwd)
    return cwd / "one", cwd / "two"


def of_it(run, table):
    frame = tables.read(table, run / f"{table.name}.parquet").frame
    return frame.filter(pl.col("family") == "li2014@begun")


def test_the_table_of_trials_says_what_it_took_of_the_budget(runs):
    """One pass over two views of the training images counts as two of the four epochs."""
    trial = of_it(runs[0], tables.TRIALS).row(0, named=True)
    roles = tables.read(tables.SPLITS, runs[0] / "splits.parquet").frame.filter(pl.col("role") == "train")
    samples = tables.read(tables.SAMPLES, runs[0] / "samples.parquet").frame
    n_train = samples.filter(pl.col("case").is_in(roles["case"].implode())).height

    assert trial["epochs"] == 4
    assert f"self-supervised start (SimSiam) on the {n_train} training images without their labels" in trial["note"]
    assert "count as 2 of 4 epochs" in trial["note"]


def test_the_same_study_gives_the_same_probabilities(runs):
    """Both runs fitted the same model, to the last bit."""
    one, two = (of_it(run, tables.TRIALS)["fitted_hash"].to_list() for run in runs)

    assert one == two
