"""A disk that fills up in the middle of a run: one message, and nothing that was saved is lost."""

import os
import shutil
import subprocess

import pytest
from tests.command import called, grandrounds

from grandrounds import tables

MOUNT = shutil.which("mount")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of eight MiB, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = [MOUNT or "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if MOUNT is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_costs_the_trial_in_hand_and_no_more(small_disk, archive):
    """The first study is untouched; after freeing space the same command goes on to the end."""
    asked = ["run", archive, "--resamples", "100", "--families"]
    grandrounds(*asked, "prior,thumbnail", "-o", "first", cwd=small_disk)
    report = (small_disk / "first/report.html").read_bytes()
    hog = small_disk / "hog"
    with hog.open("wb") as file:
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        file.write(bytes(free - 300_000))

    full = called("grandrounds", *asked, "prior,thumbnail,lbp-svm", "-o", "second", cwd=small_disk)
    assert full.returncode == 1
    assert "free some space" in full.stderr
    assert "Traceback" not in full.stderr
    assert (small_disk / "first/report.html").read_bytes() == report

    hog.unlink()
    grandrounds(*asked, "prior,thumbnail,lbp-svm", "-o", "second", cwd=small_disk)
    trials = tables.read(tables.TRIALS, small_disk / "second/trials.parquet").frame
    assert set(trials["status"]) == {"done"}
