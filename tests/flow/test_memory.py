"""Memory of a study of volumes, from the files on the disk to the predictions of a trial."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

SPACE = (128, 28, 28)  # 0.4 MB as prepared, and so deep that two exams are read at once, however many there are
FEW, MANY = 40, 240  # series
MOST_MIB = 24  # that the others may add: less than a third of their pixels; from one time to the next it differs by ten
FAMILIES = ("slices:nin", "exams:slices:nin")
STUDY = r"""
import re, sys
from pathlib import Path
import polars as pl
from grandrounds.prepare import Pipeline, build_step
from grandrounds.specs import parse
from grandrounds.study.spec import Ask, DataSpec, Recipe
from grandrounds.study.job import Job, trials_of
from grandrounds.study.trial import run_trial
from grandrounds.study.workspace import open_workspace

source, folder, names = *map(Path, sys.argv[1:3]), sys.argv[3:]
data = DataSpec(source=str(source), names=True, options={"unit": "volume"})
as_they_are = Pipeline(each=(build_step({"step": "scale", "low": 0, "high": 255}),))
workspace = open_workspace(Ask(name="memory", data=data), folder, lambda _: None, pipeline=as_they_are, cache=None)
of_planes = {"side_px": 8, "batch_size": 2, "of": {"width": 0.125}}
params = [{"of": of_planes} if name.startswith("exams:") else of_planes for name in names]
recipes = [parse(Recipe, {"family": name, "params": one, "epochs": 1}) for name, one in zip(names, params)]
plan, prepared = workspace.plan, workspace.prepared.path
for trial in trials_of(tuple(recipes), plan, prepared.stem, seed=0, seeds=1, threads=1, device="cpu")[: len(names)]:
    assert run_trial(Job(trial, folder, prepared, folder / "data", flips=False)) == "done"
    print(pl.read_parquet(folder / "trials" / trial.name / "trials.parquet")["peak_mib"][0])
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def peaks_mib(folder, n):
    """Return the greatest resident memory of a process that trains on so many series and predicts the others.

    That of each family's trial, and that of the whole process with the preparation. Two series are an exam.
    """
    random, rows = np.random.default_rng(n), []
    folder.mkdir()
    for turn in range(n):
        np.save(folder / f"{turn}.npy", random.integers(0, 256, SPACE, dtype=np.uint8))
        exam, plane = divmod(turn, 2)
        of_exam = {"case": f"exam {exam}", "patient": f"nobody {exam}", "label": f"class {exam % 2}"}
        rows.append(of_exam | {"image": f"{turn}.npy", "plane": ("front", "side")[plane]})
    pl.DataFrame(rows).write_csv(folder / "exams.csv")
    command = [sys.executable, "-c", STUDY, str(folder / "exams.csv"), str(folder / "run"), *FAMILIES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much a process ever held")
def test_memory_does_not_grow_with_the_number_of_exams(tmp_path):
    """Six times the exams are 77 MiB more of pixels, and next to nothing more in memory, by slices and by exams."""
    few, many = peaks_mib(tmp_path / "few", FEW), peaks_mib(tmp_path / "many", MANY)

    assert len(few) == len(many) == len(FAMILIES) + 1
    assert all(after - before < MOST_MIB for before, after in zip(few, many, strict=True))
