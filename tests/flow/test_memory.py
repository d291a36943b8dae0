"""Memory of a study of volumes, from the files on the disk to the predictions of a trial."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SPACE = (24, 64, 64)  # 0.4 MB as prepared
MOST_MIB = 12  # that four times the exams may add: a fifth of their pixels
STUDY = r"""
import re, sys
from pathlib import Path
from grandrounds.specs import parse
from grandrounds.study.spec import Ask, DataSpec, Recipe
from grandrounds.study.trial import Job, run_trial, trials_of
from grandrounds.study.workspace import open_workspace

source, folder = map(Path, sys.argv[1:])
data = DataSpec(source=str(source), names=True, options={"unit": "volume"})
workspace = open_workspace(Ask(name="memory", data=data), folder, lambda _: None, pipeline=None, cache=None)
params = {"side_px": 8, "batch_size": 4, "of": {"width": 0.125}}
recipe = parse(Recipe, {"family": "slices:nin", "params": params, "epochs": 1})
trials = trials_of((recipe,), workspace.plan, workspace.prepared.path.stem, seed=0, seeds=1, threads=1, device="cpu")
print(run_trial(Job(trials[0], folder, workspace.prepared.path, folder / "data", flips=False)))
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def peak_mib(folder, n):
    """Return the greatest resident memory of a process that trains on so many exams and predicts the others."""
    random = np.random.default_rng(n)
    for case in range(n):
        of_class = folder / "images" / f"class {case % 2}"
        of_class.mkdir(parents=True, exist_ok=True)
        np.save(of_class / f"{case}.npy", random.integers(0, 256, SPACE, dtype=np.uint8))
    command = [sys.executable, "-c", STUDY, str(folder / "images"), str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, peak = done.stdout.split()
    assert status == "done"
    return float(peak)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much a process ever held")
def test_memory_does_not_grow_with_the_number_of_exams(tmp_path):
    """Four times the exams are 60 MiB more of pixels, and next to nothing more in memory."""
    few, many = peak_mib(tmp_path / "few", 50), peak_mib(tmp_path / "many", 200)

    assert many - few < MOST_MIB
