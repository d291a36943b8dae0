"""What a study of exams of three series costs: fusion, its controls and a joint network on simulated knees.

    python benchmarks/knees.py [TASK, or all for the three of them in one study]

Result:    576 s; AUC of the joint network 0.919, of late fusion 0.556, of each series and of the columns chance. Beside
           other work (load 8) it had taken 1,324 s, in which time the joint network had learned less (0.71)
Hardware:  two cores of an Intel Xeon, nothing else running
n:         1 run of 100 exams, one seed, two folds

Target on two cores: 100 exams of three series of 24 slices at 96 px from nothing to the report within 20 minutes. What
the report says of the series is printed, so that speed cannot be bought with a study that finds nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from grandrounds import api
from grandrounds.data import SourceOptions
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import Ask, DataSpec, Means

LIMIT_S = 1200
FAMILIES = ("prior", "metadata", "fusion:slices:spp", "exams:slices:spp")


def ask(task: str) -> Ask:
    """Return the study that is timed."""
    which = {"tasks": "all"} if task == "all" else {"task": task}
    options = SourceOptions(**which, unit="volume")
    return Ask(
        name="knees", data=DataSpec(source="simulated-knee", options=options), families=FAMILIES, seeds=1,
        split=SplitSpec(scheme="kfold", folds=2), means=Means(budget_s=780 if task != "all" else 3 * 780),
    )  # fmt: skip


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else "two-series"
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        run = api.run(ask(wanted), Path(place) / "run").folder
        took_s, page = time.perf_counter() - started, (run / "report.md").read_text(encoding="utf-8")
    load = os.getloadavg()[0]
    heading = "What shows each task?" if wanted == "all" else "What does each series say?"
    print(page.split(heading)[1].split("\n## ")[0])
    print(f"{wanted}: {took_s:.0f} s (target {LIMIT_S}) under a load of {load:.1f}, n = 1")
