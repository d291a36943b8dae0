"""The key of the pseudonyms: made once, whole or not at all, and never lost without a word."""

from __future__ import annotations

import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from grandrounds.data import open_dataset
from grandrounds.errors import BadData, StoreTrouble
from grandrounds.study import pseudonyms
from grandrounds.study.pseudonyms import KEY, key_of


@pytest.fixture
def dataset(tmp_path, picture, monkeypatch):
    """Four pictures in two folders of classes, and a state folder of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        picture(f"images/{name}")
    return open_dataset(tmp_path / "images")


def test_studies_of_the_same_images_share_one_key(dataset, tmp_path):
    """However many begin at once; each keeps a copy, which its owner alone can read."""
    runs = [tmp_path / "runs" / str(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda run: key_of(run, dataset), runs))

    assert len(keys) == 1
    assert {(run / KEY).read_bytes() for run in runs} == keys
    assert stat.S_IMODE((runs[0] / KEY).stat().st_mode) == 0o600
    assert sorted(path.name for path in dataset.root.glob(".*")) == [f".grandrounds-{KEY}"]


def test_a_full_disk_leaves_no_half_key(dataset, tmp_path):
    """It is one message, and there is no file that the next study would stumble over."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        with pytest.raises(StoreTrouble, match="cannot write the key of the pseudonyms"):
            key_of(tmp_path / "run", dataset)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert not [path for path in tmp_path.rglob("*") if KEY in path.name]
    assert len(key_of(tmp_path / "run", dataset)) == 32


def _refused(*_places: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_where_no_links_can_be_made_there_is_a_key_all_the_same(dataset, tmp_path, monkeypatch):
    """As on a memory stick, whose file system has none."""
    monkeypatch.setattr(os, "link", _refused)
    assert key_of(tmp_path / "one", dataset) == key_of(tmp_path / "two", dataset)


def test_a_damaged_key_says_what_its_loss_means(dataset, tmp_path):
    """Whoever removes it gets other pseudonyms, and should know before."""
    key_of(tmp_path / "one", dataset)
    (dataset.root / f".grandrounds-{KEY}").write_bytes(b"half")
    with pytest.raises(BadData, match="holds no key") as refusal:
        key_of(tmp_path / "two", dataset)
    assert "an earlier run folder" in refusal.value.remedy
    assert "patients, folds and draws are other ones" in refusal.value.remedy


def test_where_no_links_can_be_made_the_first_key_stays(tmp_path):
    """Another process may have written, and read, its key meanwhile."""
    (tmp_path / "mine").write_bytes(b"m" * 32)
    (tmp_path / "key").write_bytes(b"t" * 32)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "link", _refused)
        pseudonyms._named(tmp_path / "mine", tmp_path / "key")

    assert (tmp_path / "key").read_bytes() == b"t" * 32
