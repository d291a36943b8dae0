"""Who works side by side, and until when."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from grandrounds.study import engine

ONE = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from grandrounds import cores; "


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system grants no cores")
def test_only_the_cores_that_were_granted_count():
    """A job on a cluster may use fewer than the machine has."""
    said = subprocess.run([sys.executable, "-c", f"{ONE}print(cores.processors())"], capture_output=True, check=True)

    assert said.stdout.split() == [b"1"]


def test_workers_end_with_the_block():
    """Nobody waits for them, and none is left."""
    with engine.workers(2) as executor:
        numbers = {executor.submit(os.getpid).result() for _ in range(4)}

    assert numbers
    assert not [number for number in numbers if psutil.pid_exists(number)]
