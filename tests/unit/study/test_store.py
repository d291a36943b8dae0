"""The run folder keeps whole trials or none."""

import os

import polars as pl
import pytest

from grandrounds import tables
from grandrounds.errors import StoreTrouble
from grandrounds.study.store import Store


def save(store, trial, family="prior"):
    with store.writing(trial) as folder:
        row = pl.DataFrame([{"trial": trial, "family": family, "status": "done"}])
        tables.write(row, tables.TRIALS, folder / "trials.parquet")


def test_a_trial_appears_only_when_it_is_whole(tmp_path):
    """While it is written it does not count."""
    store = Store(tmp_path)
    with store.writing("one"):
        assert "one" not in store

    assert "one" in store


def test_an_error_leaves_nothing_behind(tmp_path):
    """What failed half-way is removed, and what was there stays."""
    store = Store(tmp_path)
    save(store, "good")
    with pytest.raises(ZeroDivisionError), store.writing("bad"):
        _ = 1 / 0

    assert "bad" not in store
    assert store.gathered(tables.TRIALS, ["good", "bad"])["trial"].to_list() == ["good"]
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["good"]


def test_leftovers_of_dead_processes_are_swept_and_others_are_not(tmp_path):
    """A temporary folder belongs to the process whose number it carries."""
    store = Store(tmp_path)
    dead, alive = tmp_path / "trials/.one.999999999.tmp", tmp_path / f"trials/.two.{os.getpid()}.tmp"
    dead.mkdir()
    alive.mkdir()

    assert store.sweep() == 1
    assert not dead.exists()
    assert alive.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_said_plainly(tmp_path):
    """The message names the folder and the option."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreTrouble, match="-o"):
        Store(tmp_path / "run")


def test_a_file_where_the_folder_should_be_is_said_plainly(tmp_path):
    """A run cannot be kept inside a file."""
    (tmp_path / "run").write_text("")

    with pytest.raises(StoreTrouble, match="run folder"):
        Store(tmp_path / "run")


def test_two_writers_of_the_same_trial_keep_one(tmp_path):
    """The second of two equal trials is dropped without harm."""
    store = Store(tmp_path)
    save(store, "one")
    save(store, "one", family="other")

    assert store.gathered(tables.TRIALS, ["one"])["family"].to_list() == ["prior"]


def test_trials_of_an_earlier_version_of_the_study_do_not_count(tmp_path):
    """What was trained for another recipe stays on the disk and out of the tables."""
    store = Store(tmp_path)
    save(store, "now")
    save(store, "before", family="other")

    assert store.gathered(tables.TRIALS, ["now", "not-yet"])["family"].to_list() == ["prior"]
