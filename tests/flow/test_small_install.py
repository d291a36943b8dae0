"""The judge in an environment of its own that has what `pip install grandrounds` brings, and no more.

The environment is real: a fresh virtual environment into which the core dependencies and theirs are linked from this
one, as their metadata list them. What is not declared is not there, and neither is torch.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from packaging.requirements import Requirement

SOURCE = Path(__file__).parents[2] / "src"


def needed(name: str, seen: dict[str, importlib.metadata.Distribution], extras: frozenset[str] = frozenset()) -> None:
    """Collect a distribution and everything that it requires here, without extras that nobody asks for."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen and not extras:
        return
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return  # needed on another system only, or a stub that nobody imports
    seen[key] = found
    for line in found.requires or ():
        one = Requirement(line)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            needed(one.name, seen, frozenset(one.extras))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the core dependencies alone."""
    home = tmp_path_factory.mktemp("small") / "venv"
    venv.create(home, symlinks=True, with_pip=False)
    (site,) = (home / "lib").glob("python*/site-packages")
    chosen: dict[str, importlib.metadata.Distribution] = {}
    needed("grandrounds", chosen)
    del chosen["grandrounds"]
    for one in chosen.values():
        for top in {file.parts[0] for file in one.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(one.locate_file(top))).resolve())
    (site / "grandrounds.pth").write_text(str(SOURCE))
    own = importlib.metadata.distribution("grandrounds")
    info = next(Path(str(own.locate_file(file.parts[0]))) for file in own.files or () if ".dist-info" in file.parts[0])
    (site / info.name).symlink_to(info)
    return home / "bin" / "python"


def call(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_it_has_no_torch_and_no_extra(small: Path, tmp_path: Path) -> None:
    """The environment lacks what only extras bring, so that what runs in it needs none of them."""
    code = "import importlib.util as u; print([n for n in ('torch', 'timm', 'monai', 'pytest') if u.find_spec(n)])"

    assert call(small, "-c", code, cwd=tmp_path).stdout.strip() == "[]"
    assert sys.prefix not in call(small, "-c", "import sys; print(sys.path)", cwd=tmp_path).stdout


def test_models_and_readers_are_judged_in_it(small: Path, tmp_path: Path) -> None:
    """A model's probabilities and readers' ratings become a report, scores and the table of readers."""
    draw = np.random.default_rng(0)
    sick = np.arange(40) % 2 == 1
    images = pl.DataFrame({"sample": [f"s{k}" for k in range(40)], "label": np.where(sick, "yes", "no")})
    case = draw.normal(size=40) + sick
    likely = 1 / (1 + np.exp(-case))
    images.with_columns(prob_no=1 - likely, prob_yes=likely).write_csv(tmp_path / "model.csv")
    rated = [
        images.with_columns(reader=pl.lit(name), rating=np.digitize(case + draw.normal(size=40), [-1, 0, 1, 2]))
        for name in ("R1", "R2", "R3")
    ]
    pl.concat(rated).write_csv(tmp_path / "readers.csv")

    done = call(small, "-m", "grandrounds", "report", "model.csv", "readers.csv", "-o", "out", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert {"report.html", "report.md", "scores.parquet", "readers.parquet"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    audited = call(small, "-m", "grandrounds", "audit", "model.csv", cwd=tmp_path)
    assert audited.returncode == 0, audited.stderr
