"""How many cores there are to use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ONE = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from grandrounds import cores; "


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system grants no cores")
def test_only_the_cores_that_were_granted_count():
    """A job on a cluster may use fewer than the machine has."""
    said = subprocess.run([sys.executable, "-c", f"{ONE}print(cores.processors())"], capture_output=True, check=True)

    assert said.stdout.split() == [b"1"]
