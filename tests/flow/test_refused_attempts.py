"""What an attempt that was refused leaves in a run folder: nothing that binds the next one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds import api, families
from grandrounds.data import SourceOptions
from grandrounds.errors import BadSpec, Refusal
from grandrounds.evaluate.aims import Aims
from grandrounds.splits import SplitPlan, SplitSpec
from grandrounds.study.pseudonyms import KEY
from grandrounds.study.space import Tuning
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means
from grandrounds.study.tuned import tune

TASKS = ("effusion", "nodule")


def films(home: Path, seed: int = 0) -> Path:
    """Write a table of films with a column of labels for each task, whose pixels follow the seed, and return it."""
    rng = np.random.default_rng(seed)
    home.mkdir(exist_ok=True)
    for at in range(48):
        cv2.imwrite(str(home / f"film{at}.png"), rng.integers(0, 256, (8, 8), dtype=np.uint8))
    labels = {task: [("absent", "present")[at >> turn & 1] for at in range(48)] for turn, task in enumerate(TASKS)}
    names = {"image": [f"film{at}.png" for at in range(48)], "patient": [f"nobody-{at}" for at in range(48)]}
    pl.DataFrame(names | labels).write_csv(home / "films.csv")
    return home / "films.csv"


def asked(source: Path, tasks: tuple[str, ...] = (), **changes: object) -> Ask:
    """Return a small study of these tasks, or of the first alone."""
    options = SourceOptions(tasks=tasks) if tasks else SourceOptions(label=TASKS[0])
    return Ask(
        name="small", data=DataSpec(source=str(source), options=options), families=("prior",), seeds=1,
        means=Means(budget_s=10, workers=1), judge=JudgeSpec(resamples=100),
    ).replaced(**changes)  # fmt: skip


def refuse(ask: Ask, folder: Path) -> None:
    """Attempt a study that names a column which is not there; that shows once the split has been drawn."""
    with pytest.raises(Refusal, match="nowhere"):
        api.run(ask.replaced(judge=JudgeSpec(slices=("nowhere",)).model_dump()), folder)


@pytest.fixture(params=["one task", "several tasks"])
def tasks(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The tasks of a study of several, none for a study of one."""
    return TASKS if request.param == "several tasks" else ()


def plans(run: Path, tasks: tuple[str, ...]) -> list[SplitPlan]:
    """Return the split plans of a run."""
    return [SplitPlan.load(run / task / "splits.parquet") for task in tasks or (".",)]


def test_the_folder_of_a_refused_attempt_takes_other_data(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    """Split and pseudonyms are those of the images that are read now, as in a new folder."""
    first, second, run = films(tmp_path / "a"), films(tmp_path / "b", seed=1), tmp_path / "run"
    refuse(asked(first, tasks), run)
    api.run(asked(second, tasks), run)
    fresh = api.run(asked(second, tasks), tmp_path / "fresh").folder
    key = (second.parent / f".grandrounds-{KEY}").read_bytes()

    assert [one.checksum for one in plans(run, tasks)] == [one.checksum for one in plans(fresh, tasks)]
    assert {path.read_bytes() for path in run.rglob(KEY)} == {key}


def test_the_folder_of_a_refused_attempt_takes_other_options(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    """The split is drawn as it is asked for now, not as it was before."""
    table, run = films(tmp_path / "a"), tmp_path / "run"
    refuse(asked(table, tasks, split=SplitSpec(scheme="kfold", folds=3).model_dump()), run)
    api.run(asked(table, tasks, split=SplitSpec(scheme="holdout").model_dump()), run)

    assert {one.spec.scheme for one in plans(run, tasks)} == {"holdout"}


def test_one_task_that_cannot_be_planned_leaves_no_plan_of_another(tmp_path: Path) -> None:
    """What was refused for one task can be asked for differently, although the first task could be planned."""
    table, run = films(tmp_path / "a"), tmp_path / "run"
    grades = pl.Series(TASKS[0], [("none", "some", "much")[at % 3] for at in range(48)])
    pl.read_csv(table).with_columns(grades).write_csv(table)
    with pytest.raises(BadSpec, match="cannot be the primary metric"):
        api.plan(asked(table, TASKS, judge=JudgeSpec(primary="pairwise_auc").model_dump()), run)
    api.plan(asked(table, TASKS), run)

    assert len(list(run.rglob("study.toml"))) == 3


def test_a_prevalence_of_no_class_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """It is of the positive class, and three grades have none."""
    table, run = films(tmp_path / "a"), tmp_path / "run"
    grades = pl.Series(TASKS[0], [("none", "some", "much")[at % 3] for at in range(48)])
    pl.read_csv(table).with_columns(grades).write_csv(table)
    declared = JudgeSpec(decide=Aims(prevalence=0.02)).model_dump()
    with pytest.raises(
        BadSpec, match=r"a prevalence of 0\.02 is of the positive class, and none of much, none, some is"
    ):
        api.plan(asked(table, judge=declared), run)

    assert not list(run.rglob("*.parquet"))
    assert api.plan(asked(table), run)


def test_a_planned_folder_refuses_other_images(tmp_path: Path, tasks: tuple[str, ...]) -> None:
    """Who is in which role was drawn for the images that were there then."""
    table, run = films(tmp_path / "a"), tmp_path / "run"
    api.plan(asked(table, tasks), run)
    films(tmp_path / "a", seed=1)
    with pytest.raises(BadSpec, match="drawn for other data"):
        api.run(asked(table, tasks), run)


@pytest.mark.parametrize("across", [None, 2])
def test_a_folder_that_was_tuned_in_refuses_other_images(tmp_path: Path, across: int | None) -> None:
    """It has no study, but trials that rest on its split; before there are any, nothing binds it."""
    tuning = Tuning("thumbnail", families.params_of("thumbnail"), [{"side_px": 4}], across=across, seeds=1)
    run = tmp_path / "run"
    refuse(asked(films(tmp_path / "a")), run)
    tune(asked(films(tmp_path / "b", seed=1)), run, tuning)
    with pytest.raises(BadSpec, match="drawn for other data"):
        tune(asked(films(tmp_path / "c", seed=2)), run, tuning)


@pytest.mark.parametrize("across", [None, 2])
def test_a_folder_that_was_tuned_in_refuses_another_split(tmp_path: Path, across: int | None) -> None:
    """What was asked for later would be answered on the patients of before; with the first options it goes on."""
    table, run = films(tmp_path / "a"), tmp_path / "run"
    tuning = Tuning("thumbnail", families.params_of("thumbnail"), [{"side_px": 4}], across=across, seeds=1)
    found = [tune(asked(table), run, tuning).table.drop("fit_s") for _ in range(2)]
    for options in ({"split": SplitSpec(scheme="kfold", folds=3).model_dump()}, {"seed": 1}):
        with pytest.raises(BadSpec, match="another split"):
            tune(asked(table, **options), run, tuning)

    assert found[0].equals(found[1])
