"""A result never takes the place of what is read, and a model stays as it was made."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from grandrounds import api
from grandrounds.cli import main
from grandrounds.errors import BadData, BadSpec
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of small pictures, which lie beside it."""
    home, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    for at in range(60):
        label = ("dark", "light")[at % 2]
        (home / "images" / label).mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 90, (8, 8)) + 90 * (at % 2)
        cv2.imwrite(str(home / "images" / label / f"{at}.png"), picture.astype(np.uint8))
    ask = Ask(
        name="small", data=DataSpec(source=str(home / "images")), families=("prior", "lbp-svm"), seeds=1,
        means=Means(budget_s=10, workers=1), judge=JudgeSpec(resamples=100),
    )  # fmt: skip
    return api.run(ask, home / "run").folder


def ends(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run a command and return its exit code and what it said."""
    code = 0
    try:
        main(list(map(str, arguments)))
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, " ".join((said.out + said.err).split())


@pytest.fixture
def scan(shipped: Path, tmp_path: Path) -> Path:
    """A copy of one picture, in a folder of its own."""
    (tmp_path / "new").mkdir()
    return Path(shutil.copy(shipped.parent / "images" / "dark" / "0.png", tmp_path / "new"))


def test_an_answer_is_never_written_over_an_image(shipped, scan, capsys):
    """Nor over anything that is there in a folder that is read, nor under another ending."""
    before = scan.read_bytes()
    (scan.parent / "old.csv").write_text("precious")
    for source, out, why in (
        (scan, scan, "called otherwise"),
        (scan.parent, scan.parent / "old.csv", "would be lost"),
        (scan, scan.parent / "answers.parquet", "called otherwise"),
        (scan, "/dev/null", "called otherwise"),
    ):
        code, said = ends(capsys, "predict", shipped, source, "-o", out)
        assert (code, why in said) == (1, True), said
    assert scan.read_bytes() == before
    assert (scan.parent / "old.csv").read_text() == "precious"
    assert ends(capsys, "predict", shipped, scan.parent, "-o", scan.parent / "new.csv")[0] == 0


def test_a_table_that_is_predicted_stays(shipped, scan, capsys):
    """It has the ending of an answer, and is not one."""
    table = scan.parent / "scans.csv"
    table.write_text("image\n0.png\n")
    code, said = ends(capsys, "predict", shipped, table, "-o", table)
    assert code == 1
    assert "among those that are read" in said
    assert table.read_text() == "image\n0.png\n"


def test_nothing_but_refusals_is_no_success(shipped, scan, capsys):
    """The rows are written, and the exit code tells a script that nobody was answered."""
    (scan.parent / "torn.png").write_bytes(scan.read_bytes()[:30])
    assert ends(capsys, "predict", shipped, scan.parent / "torn.png", "-o", scan.parent / "out.csv")[0] == 3
    assert (scan.parent / "out.csv").exists()
    assert ends(capsys, "predict", shipped, scan.parent / "torn.png", scan)[0] == 0


def test_a_changed_manifest_is_no_model(shipped, tmp_path, scan):
    """Classes in another order would call the dark ones light."""
    model = Path(shutil.copytree(shipped / "model", tmp_path / "model"))
    (model / ".DS_Store").write_bytes(b"\0")
    assert api.predict(model, [scan])["predicted"].to_list() == ["dark"]
    manifest = json.loads((model / "bundle.json").read_text())
    manifest["task"]["classes"].reverse()
    (model / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BadData, match="manifest was changed"):
        api.predict(model, [scan])


def test_nothing_is_written_into_a_model(shipped):
    """It would not be the model any more."""
    with pytest.raises(BadSpec, match="a model stays as it is"):
        api.evaluate(shipped, str(shipped.parent / "images"), out=shipped / "model" / "elsewhere")
    assert api.predict(shipped, [shipped.parent / "images"]).height == 60


def test_who_is_who_is_for_its_owner_alone(shipped, tmp_path, capsys):
    """It names patients."""
    assert ends(capsys, "names", shipped, "-o", tmp_path / "who.csv")[0] == 0
    assert stat.S_IMODE((tmp_path / "who.csv").stat().st_mode) == 0o600
