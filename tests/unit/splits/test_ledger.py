"""The ledger beside the data counts every opening of a test role."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from grandrounds.errors import StoreTrouble
from grandrounds.splits import ledger

WHEN = "2031-01-02T03:04:05+00:00"


@pytest.fixture(autouse=True)
def _state(tmp_path_factory, monkeypatch):
    """Keep the user's own state folder out of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def test_each_opening_counts_again_for_the_same_trial(tmp_path):
    """A trial that ran twice opened the test role twice."""
    counts = [ledger.open_test(tmp_path, "data", "plan", "resnet18", WHEN) for _ in range(2)]

    assert counts == [1, 2]
    assert ledger.count(tmp_path, "data") == ledger.Opened(2, 1, WHEN, WHEN)


def test_other_data_in_the_same_folder_do_not_count(tmp_path):
    """A file is known by its fingerprint, and its ledger lies in its folder."""
    ledger.open_test(tmp_path / "a.npz", "one", "plan", "trial", WHEN)

    assert ledger.count(tmp_path / "b.npz", "other") == ledger.Opened(0, 0, None, None)
    assert (tmp_path / ".grandrounds-ledger.jsonl").exists()


def test_a_read_only_data_folder_sends_the_ledger_to_the_state_folder(tmp_path):
    """Where no file may be made beside the data, the count goes on elsewhere, for root too."""
    archive = tmp_path / "archive"
    archive.mkdir(mode=0o555)

    assert ledger.open_test(archive, "data", "plan", "trial", WHEN) == 1
    assert list(archive.iterdir()) == []
    assert (Path(os.environ["XDG_STATE_HOME"]) / "grandrounds" / "ledger-data.jsonl").exists()


def test_a_test_role_that_cannot_be_counted_stays_shut(tmp_path, monkeypatch):
    """Neither place can be written: the opening is refused."""
    (tmp_path / ".grandrounds-ledger.jsonl").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(StoreTrouble, match="cannot be noted"):
        ledger.open_test(tmp_path, "data", "plan", "trial", WHEN)


def test_a_torn_line_spoils_nothing_but_itself(tmp_path):
    """A crash in the middle of a write leaves the other entries readable."""
    ledger.open_test(tmp_path, "data", "plan", "first", WHEN)
    path = tmp_path / ".grandrounds-ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"fingerprint": "da')

    assert ledger.open_test(tmp_path, "data", "plan", "second", WHEN) == 2


def _open_many(folder: Path, trial: str) -> None:
    for _ in range(50):
        ledger.open_test(folder, "data", "plan", trial, WHEN)


def test_several_processes_lose_no_entry(tmp_path):
    """Four writers at once, fifty entries each."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_open_many, args=(tmp_path, f"trial {k}")) for k in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert ledger.count(tmp_path, "data") == ledger.Opened(200, 4, WHEN, WHEN)
