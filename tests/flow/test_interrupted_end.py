"""A run that dies between judging and its report is not finished, whatever an earlier report beside it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from grandrounds import api, bundling, report
from grandrounds.data import SourceOptions
from grandrounds.errors import StoreTrouble
from grandrounds.running import MODEL, REPORT
from grandrounds.study import tasks
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means


def dies(*_: object, **__: object) -> None:
    raise StoreTrouble("the disk is full")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A table of small films with three columns of labels."""
    rng, rows = np.random.default_rng(0), ["image,effusion,nodule,fracture"]
    for at in range(48):
        shown = rng.integers(0, 2, 3)
        film = rng.integers(0, 120, (16, 16), dtype=np.uint8)
        for part, there in enumerate(shown):
            film[5 * part : 5 * part + 5] += np.uint8(80 * there)
        cv2.imwrite(str(tmp_path / f"film{at}.png"), film)
        rows.append(f"film{at}.png,{','.join('yes' if one else 'no' for one in shown)}")
    (tmp_path / "films.csv").write_text("\n".join(rows))
    return tmp_path / "films.csv"


def asked(source: Path, **options: object) -> Ask:
    return Ask(
        name="stripes", data=DataSpec(source=str(source), options=SourceOptions(**options)), seeds=1,
        families=("prior", "lbp-svm"), judge=JudgeSpec(resamples=100), means=Means(budget_s=10, workers=1),
    )  # fmt: skip


def test_a_run_that_could_not_ship_is_finished_by_the_same_command(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old report told of another state; the next call judges again, ships and reports."""
    ask, folder = asked(archive), tmp_path / "run"
    api.run(ask, folder)
    shutil.rmtree(next((folder / "trials").glob("lbp-svm*")))
    shutil.rmtree(folder / MODEL)
    with monkeypatch.context() as patched:
        patched.setattr(bundling, "ship", dies)
        with pytest.raises(StoreTrouble):
            api.run(ask, folder)
    again = api.run(ask, folder)

    assert again.did_something
    assert (folder / MODEL).is_dir()
    assert (folder / REPORT).exists()
    assert not api.run(ask, folder).did_something


def test_a_page_over_tasks_that_was_not_written_is_written_by_the_same_command(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old page lacks the task that was finished last. Once all is done, the images are not read again."""
    ask, folder = asked(films, tasks=("nodule", "fracture", "effusion")), tmp_path / "run"
    api.run(ask, folder)
    shutil.rmtree(next((folder / "fracture" / "trials").glob("lbp-svm*")))
    with monkeypatch.context() as patched:
        patched.setattr(report, "write_all", lambda shown, place: dies() if place == folder else None)
        with pytest.raises(StoreTrouble):
            api.run(ask, folder)
    (folder / "fracture" / REPORT).touch()  # as if only the page over all had failed
    again = api.run(ask, folder)

    assert again.did_something
    assert (folder / REPORT).exists()
    monkeypatch.setattr(tasks, "open_workspaces", dies)
    assert not api.run(ask, folder).did_something
