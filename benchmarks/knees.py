"""What a study of exams of three series costs: late and joint fusion with their controls on simulated knees.

    python benchmarks/knees.py [TASK, or all for the three of them in one study] [--small | --hybrid]

Result:    647 s; AUC of `exams:slices:spp` 0.708 (0.593 to 0.801), of late fusion 0.558 (0.440 to 0.671), of each
           series and of the columns chance. Without controls beside it the joint network had a larger share of the
           time and 0.919, in 576 s. `--hybrid`: AUC 0.919 (0.842 to 0.961), 138 s
Hardware:  two cores of an Intel Xeon, nothing else running
n:         1 run of 100 exams, one seed, two folds

Target on two cores: 100 exams of three series of 24 slices at 96 px from nothing to the report within 20 minutes. What
the report says of the series is printed, so that speed cannot be bought with a study that finds nothing. `--hybrid`
runs `exams:transmed:spp` alone, without controls, on the same exams and folds, for all of its passes. `--small` has 8
slices at 16 px, so that every family makes as many passes as its parameters allow, on a busy machine too; it says
nothing of speed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from grandrounds import api, tables
from grandrounds.data import SourceOptions
from grandrounds.data.knee_spec import KneeSpec
from grandrounds.specs import parse
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import Ask, DataSpec, Means, Recipe

LIMIT_S, BUDGET_S = 1200, 780
FAMILIES = ("prior", "metadata", "fusion:slices:spp", "exams:slices:spp")
HYBRID, HYBRID_PX = "exams:transmed:spp", 32  # needs sixty passes
SMALL, SMALL_BUDGET_S = KneeSpec(n_slices=8, size_px=16), 3600


def ask(task: str, *, small: bool, hybrid: bool) -> Ask:
    """Return the study that is timed."""
    which = {"tasks": "all"} if task == "all" else {"task": task}
    options = SourceOptions(**which, unit="volume", knee=SMALL if small else KneeSpec())
    params = {"of": {} if small else {"side_px": HYBRID_PX}, "controls": "none"}
    recipes = (parse(Recipe, {"family": HYBRID, "params": params}),)
    budget_s = (SMALL_BUDGET_S if small else BUDGET_S) * (3 if task == "all" else 1)
    return Ask(
        name="knees", data=DataSpec(source="simulated-knee", options=options), recipes=recipes if hybrid else (),
        families=FAMILIES[:1] if hybrid else FAMILIES,
        seeds=1, split=SplitSpec(scheme="kfold", folds=2), means=Means(budget_s=budget_s),
    )  # fmt: skip


def shown(run: Path, task: str, *, hybrid: bool) -> str:
    """Return what the report says of the series; of the hybrid alone its AUC on cases."""
    if hybrid:
        scores = tables.read(tables.SCORES, run / "scores.parquet").frame
        found = scores.filter(family=HYBRID, metric="auc", slice="all", unit="case").row(0, named=True)
        return f"{HYBRID}: AUC {found['estimate']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    page = (run / "report.md").read_text(encoding="utf-8")
    heading = "What shows each task?" if task == "all" else "What does each series say?"
    return page.split(heading)[1].split("\n## ")[0]


if __name__ == "__main__":
    small, hybrid = "--small" in sys.argv, "--hybrid" in sys.argv
    wanted = next((one for one in sys.argv[1:] if not one.startswith("--")), "two-series")
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        run = api.run(ask(wanted, small=small, hybrid=hybrid), Path(place) / "run").folder
        took_s, said = time.perf_counter() - started, shown(run, wanted, hybrid=hybrid)
    limit = "no target" if small or hybrid else f"target {LIMIT_S}"
    print(said)
    print(f"{wanted}: {took_s:.0f} s ({limit}) under a load of {os.getloadavg()[0]:.1f}, n = 1")
