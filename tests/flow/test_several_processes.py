"""One study, trained by the processes that torchrun starts: the first writes, all of them train."""

import subprocess
import sys

import pytest

from grandrounds import tables

SMALL = ("--families", "prior,li2014", "--budget", "5s", "--seeds", "1", "--resamples", "200")


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.mark.long
def test_a_planned_study_is_trained_by_two_processes(archive, tmp_path):
    """The run folder is as ever, and the trial's note says who trained; an unplanned study is refused."""
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "grandrounds", "run")
    unplanned = run(*torchrun, archive, *SMALL, cwd=tmp_path)
    assert "plan it first" in unplanned.stderr

    planned = run("grandrounds", "plan", archive, "-o", "two", *SMALL, cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    together = run(*torchrun, "two", cwd=tmp_path)
    assert together.returncode == 0, together.stderr
    trials = tables.read(tables.TRIALS, tmp_path / "two" / "trials.parquet").frame
    notes = dict(zip(trials["family"], trials["note"], strict=True))

    assert "trained by 2 processes" in notes["li2014"]
    assert (tmp_path / "two" / "report.html").exists()
    assert together.stdout.count("Report:") == 1
