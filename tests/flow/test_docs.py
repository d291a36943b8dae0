from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from tests.command import called

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"generated", "_build"} & set(page.parts)]
LANGUAGES = ("python", "sh", "console")
MOST_SKIPPED = 8  # a block that is not run needs a reason, and there are only so many good ones
TIMEOUT_S = 120

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    body: str
    reason: str | None  # why it is not run


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        if match["language"] in LANGUAGES:
            line = text.count("\n", 0, match.start("language")) + 1
            yield Block(page, line, match["language"], match["body"], match["reason"])


WITH_BLOCKS = [page for page in PAGES if any(block.reason is None for block in blocks_of(page))]


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A finished run with a family that ships, for pages that begin with one."""
    folder = tmp_path_factory.mktemp("finished")
    write_images(folder)
    run_command("grandrounds run images --families prior,lbp-svm --scheme holdout -o first", folder, "finished run")
    return folder / "first"


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_a_page_runs(page, tmp_path, finished_run):
    """What a page tells the reader to do can be done, in its order, in a folder with a few tiny images."""
    write_images(tmp_path)
    shutil.copytree(finished_run, tmp_path / "runs" / "first")
    wanted = [block for block in blocks_of(page) if block.reason is None]

    assert wanted
    for block in wanted:
        run(block, tmp_path)  # fails where the block does, see `test_a_block_that_fails_is_noticed`


def test_few_blocks_are_not_run():
    """Blocks that are not run say why, and are few."""
    skipped = [block for page in PAGES for block in blocks_of(page) if block.reason]
    for block in skipped:
        print(f"not run: {block.page.relative_to(ROOT)}:{block.line}: {block.reason}")
    assert len(skipped) <= MOST_SKIPPED


def test_a_block_that_fails_is_noticed(tmp_path):
    """The test of the blocks itself fails where a command fails or prints something else."""
    for language, body in (("sh", "false\ntrue\n"), ("console", "$ echo one\ntwo\n"), ("python", "1 / 0\n")):
        with pytest.raises(AssertionError):
            run(Block(ROOT / "README.md", 1, language, body, None), tmp_path)


def run(block: Block, folder: Path) -> None:
    where = f"{block.page.relative_to(ROOT)}:{block.line}"
    if block.language == "python":
        (folder / "block.py").write_text(block.body, encoding="utf-8")
        done = call([sys.executable, "block.py"], folder)
        assert done.returncode == 0, f"{where}\n{done.stdout}{done.stderr}"
    elif block.language == "sh":
        for command in block.body.replace("\\\n", "").splitlines():
            run_command(command, folder, where)
    else:
        run_console(block.body, folder, where)


def run_command(command: str, folder: Path, where: str) -> None:
    words = shlex.split(command, comments=True)
    if words[:2] == ["pip", "install"]:
        check_install(words, where)
    elif words[:1] == ["make"]:  # really to make the demonstration and the tests here would take minutes, or never end
        done = call(["make", "--dry-run", *words[1:]], ROOT)
        assert done.returncode == 0, f"{where}\n{done.stderr}"
    elif words:
        done = type_in(command, folder, where)
        assert done.returncode == 0, f"{where}: {command}\n{done.stdout}{done.stderr}"


def run_console(body: str, folder: Path, where: str) -> None:
    """Run the lines after `$`; the lines below each must occur in what it prints. Its exit code is free."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, *expected = part.strip().splitlines()
        done = type_in(command, folder, where)
        printed = " ".join((done.stdout + done.stderr).split())
        for line in expected:
            assert " ".join(line.split()) in printed, f"{where}: {command}\nprinted no {line!r}, but\n{printed}"


def check_install(words: list[str], where: str) -> None:
    """Extras that are named exist, and so do files."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for word in words for match in re.findall(r"\[(.*?)\]", word) for extra in match.split(",")}
    assert named <= set(declared), where
    for option, value in itertools.pairwise(words):
        assert option != "--constraint" or (ROOT / value).is_file(), where


def type_in(line: str, folder: Path, where: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell; those of the README really start as in a terminal, which takes seconds each."""
    words = shlex.split(line, comments=True)
    plain = words[0] == "grandrounds" and not set("|<>&;$*(`") & set(line)
    return call(words if plain and not where.startswith("README.md") else ["bash", "-c", line], folder)


def call(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    if command[0] == "grandrounds":
        return called(*command, cwd=folder, environment=environment, timeout_s=TIMEOUT_S)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def write_images(folder: Path) -> None:
    """Write what the pages speak of: class folders, a table, an archive, predictions, new and damaged images."""
    rng = np.random.default_rng(0)
    labels = ["benign"] * 12 + ["malignant"] * 12
    pictures = [picture(rng, label) for label in labels]
    for k, (label, pixels) in enumerate(zip(labels, pictures, strict=True)):
        save(folder / "images" / label / f"{k:02d}.png", pixels)
        save(folder / "damaged" / label / f"{k:02d}.png", pixels)
        save(folder / "scans" / f"{k:02d}.png", pixels)
    save(folder / "new" / "a.png", pictures[0])
    save(folder / "new" / "b.png", pictures[-1])
    whole = (folder / "scans" / "00.png").read_bytes()
    (folder / "damaged" / "benign" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    table = pl.DataFrame(
        {
            "image": [f"scans/{k:02d}.png" for k in range(24)],
            "label": labels,
            "patient": [f"P{k // 2:02d}" for k in range(24)],
            "age_years": rng.integers(40, 80, 24),
            "sex": rng.choice(["F", "M"], 24),
        }
    )
    table.write_csv(folder / "patients.csv")
    write_archive(folder / "archive.npz", rng)
    write_predictions(folder / "predictions.csv", labels, rng)


def picture(rng: np.random.Generator, label: str) -> np.ndarray:
    """Return 28×28 grey values, brighter for malignant."""
    return np.clip(rng.normal(90 if label == "benign" else 130, 25, (28, 28)), 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def write_archive(path: Path, rng: np.random.Generator) -> None:
    arrays = {}
    for part in ("train", "val", "test"):
        labels = np.repeat([0, 1], 8)
        arrays[f"{part}_images"] = np.stack([picture(rng, ("benign", "malignant")[label]) for label in labels])
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez_compressed(path, **arrays)


def write_predictions(path: Path, labels: list[str], rng: np.random.Generator) -> None:
    frames = []
    for family in ("ours", "reader"):
        malignant = np.clip(rng.normal([0.35 if label == "benign" else 0.65 for label in labels], 0.2), 0, 1)
        frames.append(
            pl.DataFrame(
                {
                    "sample": [f"s{k:03d}" for k in range(24)],
                    "label": labels,
                    "patient": [f"P{k // 2:02d}" for k in range(24)],
                    "family": family,
                    "prob_benign": 1 - malignant,
                    "prob_malignant": malignant,
                }
            )
        )
    pl.concat(frames).write_csv(path)
