"""Several tasks in one study: one command, one split, one reading of the images, a run folder for each and one page."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from grandrounds import api, running, specs, tables, together
from grandrounds.cli import main
from grandrounds.cli.commands import tune_
from grandrounds.data import SourceOptions
from grandrounds.errors import BadData, BadSpec, Leak
from grandrounds.layouts.copies import COPIES
from grandrounds.report import gather
from grandrounds.report.ranked import Ranked
from grandrounds.specs import parse
from grandrounds.splits import SplitPlan
from grandrounds.study.job import Job, Trial
from grandrounds.study.spec import Ask, DataSpec, JudgeSpec, Means, Recipe, Study
from grandrounds.study.trial import run_trial
from grandrounds.study.workspace import Workspace, open_workspace

TASKS = ("effusion", "nodule", "fracture")
SHARED = "multitask:li2014"
TRAINED = {"max_epochs": 3, "batch_size": 16, "learning_rate": 2e-3, "dropout": 0.1, "shift": 0.0}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of simulated films with three columns of labels, each finding a bright part; some labels are unknown."""
    home, rng, rows = tmp_path_factory.mktemp("films"), np.random.default_rng(0), []
    for at in range(72):
        shown = {name: bool(rng.integers(2)) for name in TASKS}
        image = rng.integers(0, 120, (16, 16), dtype=np.uint8)
        for name, part in zip(TASKS, (slice(0, 5), slice(5, 10), slice(10, 16)), strict=True):
            image[part] += np.uint8(60 * shown[name])
        cv2.imwrite(str(home / f"film{at}.png"), image)
        labels = {name: "present" if there else "absent" for name, there in shown.items()}
        labels |= {name: "" for turn, name in enumerate(TASKS) if at % 12 == turn}
        rows.append({"image": f"film{at}.png", "patient": f"nobody-{at // 2}"} | labels)
    pl.DataFrame(rows).write_csv(home / "films.csv")
    return home / "films.csv"


def asked(films: Path) -> Ask:
    """Return the study of the three columns: a network for each task beside one for all."""
    options = SourceOptions(tasks=TASKS, classes=("absent", "present"))
    recipes = [parse(Recipe, {"family": name, "params": TRAINED}) for name in ("li2014", SHARED)]
    return Ask(
        name="films", data=DataSpec(source=str(films), options=options), families=("prior",), recipes=tuple(recipes),
        seeds=1, judge=JudgeSpec(resamples=100), means=Means(budget_s=30, workers=1),
        split={"scheme": "holdout", "test_fraction": 0.3},
    )  # fmt: skip


class Heard(api.Silent):
    """A listener that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def says(self, sentence: str) -> None:
        """Remember it."""
        self.said.append(sentence)


@pytest.fixture(scope="module")
def study(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study."""
    return api.run(asked(films), tmp_path_factory.mktemp("runs") / "films").folder


@pytest.fixture
def copied(study: Path, tmp_path: Path) -> Path:
    """The finished study once more, to be spoiled."""
    return Path(shutil.copytree(study, tmp_path / "films"))


def frame(schema: tables.Schema, folder: Path) -> pl.DataFrame:
    return tables.read(schema, folder / f"{schema.name}.parquet").frame


def test_each_task_has_a_run_folder_and_all_have_one_page(study: Path) -> None:
    """The page holds a chapter a task; its mean is that of the tasks; each task has a plan, a report and a model."""
    page = (study / "report.md").read_text(encoding="utf-8")
    scores = frame(tables.SCORES, study)
    auc = scores.filter(pl.col("metric") == "auc", pl.col("label").is_null(), unit="sample", slice="all")
    mean = dict(auc.filter(task="all tasks").select("family", "estimate").iter_rows())
    each = auc.filter(pl.col("task") != "all tasks").group_by("family").agg(pl.col("estimate").mean())

    assert "films: which family reads the 3 tasks best?" in page
    assert "All tasks are on one split" in page
    assert mean == pytest.approx(dict(each.iter_rows()))
    assert set(mean) == {"prior", "li2014", SHARED}
    for task in TASKS:
        assert f"Task: {task}" in page
        assert f'href="{task}/report.html"' in (study / "report.html").read_text(encoding="utf-8")
        assert 'href="../report.html"' in (study / task / "report.html").read_text(encoding="utf-8")
        assert (study / task / "model").is_dir()


def test_what_is_a_floor_in_each_task_is_one_on_the_page(study: Path) -> None:
    """A control that can have learned nothing is not picked there either, and looks as it does in its task."""
    each = [replace(gather.gather(study / task), floors=("prior", "li2014")) for task in TASKS]
    page = together.together(each, JudgeSpec(resamples=100))

    assert page.floors == ("prior", "li2014")
    assert page.ships != "li2014"
    assert Ranked.of(page).looks == Ranked.of(each[0]).looks


def test_the_budget_is_divided_and_the_images_are_prepared_once(study: Path) -> None:
    """Each task has a third of the seconds, and one array of images serves all."""
    budgets = [specs.read(Study, study / task / "study.toml").means.budget_s for task in TASKS]

    assert budgets == [10, 10, 10]
    assert len(list((study / "prepared").glob("*.npy"))) == 1
    assert not list(study.glob("*/prepared"))


def test_a_patient_has_one_role_in_all_tasks(study: Path) -> None:
    """The split was drawn once, for all."""
    roles = pl.concat(frame(tables.SPLITS, study / task).select("case", "patient", "role") for task in TASKS)

    assert roles.group_by("patient").agg(pl.col("role").n_unique())["role"].max() == 1


def test_a_film_counts_where_its_label_is_known(study: Path) -> None:
    """One table has the labels of all tasks; an unknown one is predicted in no role, and others are learned from."""
    labels = frame(tables.LABELS, study)
    assert labels.group_by("task").agg(pl.col("label").null_count()).sort("task")["label"].to_list() == [6, 6, 6]
    for task in TASKS:
        unknown = labels.filter(pl.col("label").is_null(), task=task)["case"]
        assert not frame(tables.PREDICTIONS, study / task)["case"].is_in(unknown.implode()).any()
    own = frame(tables.SPLITS, study / "nodule").filter(role="train").height
    note = frame(tables.TRIALS, study / "nodule").filter(family=SHARED)["note"].item()
    assert f"an output for each of 3 tasks, nodule ({own} labels), effusion (" in note


def test_a_finished_study_is_left_alone(films: Path, study: Path) -> None:
    """Neither the same request nor the folder trains or writes anything; another request is refused."""
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*.html")}
    for what in (asked(films), api.study_in(study)[0]):
        assert not api.run(what, study).did_something
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*.html")} == before
    with pytest.raises(BadSpec, match=r"asked for differently \(seeds is 1, not 2\)"):
        api.run(asked(films).replaced(seeds=2), study)


def test_labels_that_changed_after_all_tasks_were_judged_are_refused(films: Path, copied: Path) -> None:
    """The page answers for the labels that were read, not for those that stand there now."""
    table = pl.read_csv(films)
    other = films.with_name("other.csv")
    try:
        ask = asked(films)
        films.rename(other)
        table.with_columns(nodule=pl.col("nodule").reverse()).write_csv(films)
        with pytest.raises(BadSpec, match="have changed since"):
            api.run(ask, copied)
    finally:
        other.replace(films)


def test_the_folder_goes_on_where_it_stopped(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that lost a trial trains it again, to the same model, whatever becomes of another; who is done stays."""

    def fails(_study: Study, workspace: Workspace, *others: object) -> None:
        if workspace.dataset.task.name == "fracture":
            raise BadData("nothing to judge here", remedy="try again")
        finish(_study, workspace, *others)

    before = frame(tables.TRIALS, copied / "nodule").select("trial", "fitted_hash")
    kept = (copied / "effusion" / "report.html").stat().st_mtime_ns
    shutil.rmtree(next((copied / "nodule" / "trials").glob("multitask-*")))
    for task in ("nodule", "fracture"):
        (copied / task / "record.json").unlink()
    with pytest.raises(BadSpec, match="one task of a study of several"):
        api.run(api.study_in(copied / "nodule")[0], copied / "nodule")
    ask, heard, finish = api.study_in(copied)[0], Heard(), running.finish
    with monkeypatch.context() as broken:
        broken.setattr(running, "finish", fails)
        outcome = api.run(ask, copied, heard)

    assert frame(tables.TRIALS, copied / "nodule").select("trial", "fitted_hash").equals(before)
    assert (copied / "effusion" / "report.html").stat().st_mtime_ns == kept
    assert outcome.failed == ("The task fracture could not be finished: nothing to judge here; what to do: try again.",)
    assert outcome.failed[0] in heard.said
    page = (copied / "report.md").read_text(encoding="utf-8")
    assert outcome.failed[0] in page
    assert "Task: fracture" not in page
    assert api.run(ask, copied).failed == ()
    assert "Task: fracture" in (copied / "report.md").read_text(encoding="utf-8")


def test_a_task_opened_by_itself_has_the_split_of_all(study: Path, tmp_path: Path) -> None:
    """What is tuned for one task never meets those who are tested in the study."""
    alone = open_workspace(api.study_in(study / "nodule")[0].asked(), tmp_path, print, pipeline=None, cache=study)

    assert alone.plan.identity == SplitPlan.load(study / "nodule" / "splits.parquet").identity


def test_verbs_that_take_a_run_folder_know_several_tasks(study: Path, copied: Path) -> None:
    """Report and audit speak of all, names of everybody; what ships is asked for by its task."""
    assert set(api.audit(study)["task"]) == set(TASKS)
    api.rereport(copied)
    assert (copied / "report.md").read_text(encoding="utf-8") == (study / "report.md").read_text(encoding="utf-8")
    assert api.names(study).height == 72
    with pytest.raises(BadSpec, match="each of its tasks ships a model of its own"):
        api.predict(study, [])
    with pytest.raises(BadSpec, match="this asks for one"):
        tune_(str(study), "li2014", copied / "tuning")
    with pytest.raises(BadSpec, match="tuning looks at one"):
        tune_(str(study / "nodule"), SHARED, copied / "tuning")


def trial_again(study: Path, task: str) -> str:
    """Train the shared network of a task anew, and return the hash of what it learned."""
    folder = next((study / task / "trials").glob("multitask-*"))
    trial = Trial.model_validate_json((folder / "trial.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    beside = tuple(study / other for other in TASKS if other != task)
    prepared = next((study / "prepared").glob("*.npy"))
    assert run_trial(Job(trial, study / task, prepared, study / "films.csv", flips=False, beside=beside)) == "done"
    return tables.read(tables.TRIALS, folder / "trials.parquet").frame["fitted_hash"].item()


@pytest.mark.parametrize("roles", [("test", "valid"), ("train",)])
def test_labels_of_other_tasks_are_learned_from_train_alone(copied: Path, roles: tuple[str, ...]) -> None:
    """Turned over in every other task for whoever is tested or chosen by, they change nothing; of train they do."""
    before = frame(tables.TRIALS, copied / "nodule").filter(family=SHARED)["fitted_hash"].item()
    for task in ("effusion", "fracture"):
        who = frame(tables.SPLITS, copied / task).filter(pl.col("role").is_in(roles))["case"].implode()
        labels, meta = tables.read(tables.LABELS, copied / task / "labels.parquet")
        other = pl.col("label").replace({"absent": "present", "present": "absent"})
        turned = labels.with_columns(label=pl.when(pl.col("case").is_in(who)).then(other).otherwise("label"))
        tables.write(turned, tables.LABELS, copied / task / "labels.parquet", meta)

    assert (trial_again(copied, "nodule") == before) == (roles != ("train",))


def test_tasks_on_other_splits_are_not_learned_together(copied: Path) -> None:
    """Where somebody who is tested here is trained on in another task, the trial fails and says why."""
    path = copied / "nodule" / "splits.parquet"
    folder = next((copied / "nodule" / "trials").glob("multitask-*"))
    trial = Trial.model_validate_json((folder / "trial.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    plan = SplitPlan.load(path)
    swapped = plan.table.with_columns(pl.col("role").replace({"train": "test", "test": "train"}))
    path.unlink()
    SplitPlan(swapped, plan.spec, plan.seed, plan.fingerprint, known_as=plan.identity).save(path)
    prepared = next((copied / "prepared").glob("*.npy"))
    job = Job(trial, copied / "nodule", prepared, copied / "films.csv", flips=False, beside=(copied / "effusion",))

    assert run_trial(job) == "failed"
    assert Leak.__name__ in (folder / "error.txt").read_text(encoding="utf-8")


def test_mrnet_goes_from_disk_to_report_with_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The synthetic copy, its three tasks by the word for all of them."""
    knees = COPIES["mrnet"](tmp_path / "knees")
    quick = ["--seeds", "1", "--resamples", "100", "--budget", "5s", "--workers", "1"]
    with pytest.raises(SystemExit) as end:
        main(
            ["run", str(knees), "--tasks", "all", "--families", "prior,thumbnail", *quick, "-o", str(tmp_path / "run")]
        )

    assert not end.value.code
    assert "Report:" in capsys.readouterr().out
    page = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    for task in ("abnormal", "acl", "meniscus"):
        assert f"Task: {task}" in page
        assert (tmp_path / "run" / task / "report.html").exists()
    assert "which family reads the 3 tasks best?" in page


def test_near_copies_are_looked_for_where_tasks_share_what_is_prepared(copied, films, tmp_path):
    """The prepared images lie beside the folders of the tasks."""
    rows = pl.read_csv(films).filter(pl.col("nodule").is_not_null() & (pl.col("nodule") != ""))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in rows["image"]:
        film = cv2.imread(str(films.parent / name), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(theirs / f"again-{name}"), film // 2 + 40)
    rows.select(image="again-" + pl.col("image"), label="nodule").write_csv(theirs / "films.csv")
    found = api.evaluate(copied / "nodule", str(theirs / "films.csv"))

    assert (found.folder / "copies.parquet").exists()
