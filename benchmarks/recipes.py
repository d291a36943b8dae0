"""What to expect of each recipe: seconds of a core, and AUC on valid of one fold of a simulated set.

Result:    on top of each recipe in `src/grandrounds/recipes`, which has what this printed
Hardware:  one of two threads of an Intel Xeon, with other work beside
Versions:  torch 2.14.1, timm 1.0.31
n:         one training of each

Run with `python benchmarks/recipes.py [RECIPE ...]`, by default all of them; it takes some 45 minutes of a core. Each
is trained in one thread on the training patients of the first of five folds, for all of its passes, and looked at on
that fold's valid; the test role stays closed. Recipes of volumes and of exams are trained on the simulated knees, 8
slices of 32 pixels a series, of which every third is of the plane that can show the sign that is asked for; the others
on the simulated HRCT set, of which `grandrounds tune simulated-hrct NETWORK --full --seeds 1 --set max_epochs=N` prints
the same AUC. What learns several tasks at once needs a study of several: what its recipe says was printed by
`grandrounds run simulated-knee --tasks all --unit slice --series.plane sagittal --knee.seed 1 --knee.n-exams 80
--knee.n-slices 8 --knee.size-px 32 --families multitask:resnet-18 --scheme holdout --seeds 1 --workers 1`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from grandrounds import families
from grandrounds.families import recipes
from grandrounds.specs import parse
from grandrounds.study import tuning
from grandrounds.study.engine import InProcess, Silent
from grandrounds.study.space import Tuning
from grandrounds.study.spec import Ask, DataSpec, Means
from grandrounds.study.workspace import Workspace, open_workspace
from grandrounds.tables import Role

KNEES = parse(
    DataSpec,
    {
        "source": "simulated-knee",
        "options": {"task": "one-series", "unit": "volume", "knee": {"n_slices": 8, "size_px": 32}},
    },
)
BESIDE = {"alexnet": {"side_px": 64}}  # it reads no smaller images than those of 63 pixels, and patches have 32


def trained(name: str, workspace: Workspace, *, seed: int = 0, **values: object) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a core that one training took, with its look at valid, and its row of the table."""
    asked = Tuning(
        family=name, base=families.params_of(name, BESIDE.get(name)), tried=(values,), seeds=1, seed=seed, halving=False
    )
    began = time.process_time()
    row = tuning.compare(asked, workspace, Means(workers=1), InProcess(), Silent()).row(0, named=True)
    return time.process_time() - began, row


def expected(name: str, workspace: Workspace) -> str:
    """Return the line on one recipe."""
    if not families.FAMILIES.get(name).iterates:
        trained(name, workspace, seed=1)  # what is imported and compiled once is not the recipe's time
    core_s, row = trained(name, workspace)
    passes = getattr(families.params_of(name), "max_epochs", None)
    return f"{name:40}{core_s:8.1f} s  {f'{passes} passes' if passes else '':14}AUC on valid {row['mean']:.3f}"


def size(workspace: Workspace, role: Role) -> str:
    """Return how many cases and images the first fold has in a role, in words."""
    fold = workspace.plan.folds()[0]
    cases = workspace.plan.roles(fold).filter(role=role)["case"]
    n_images = workspace.dataset.samples["case"].is_in(cases.implode()).sum()
    return f"{n_images} images of {len(cases)} cases in {role}"


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    for data in (DataSpec(source="simulated-hrct"), KNEES):
        reads = [name for name in names if (2 in families.FAMILIES.get(name).dims) == (data is not KNEES)]
        if not reads:
            continue
        ask = Ask(name="recipes", data=data, means=Means(workers=1))
        with tempfile.TemporaryDirectory() as folder:
            workspace = open_workspace(ask, Path(folder), lambda _: None, pipeline=None, cache=None)
            print(f"{data.source}: {size(workspace, 'train')}, {size(workspace, 'valid')}")
            for name in reads:
                print(expected(name, workspace), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in sorted(recipes.shipped()) if not families.FAMILIES.get(name).learns_several])
