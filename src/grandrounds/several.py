"""A study of several tasks: each planned, trained and judged as a run of its own, and one page over all of them.

`RUN/study.toml` holds what was asked for, and `RUN/TASK/` is a run folder like any other. What is common to all lies in
`RUN`: the prepared images, the labels of all tasks, the page and its tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType

import polars as pl

from grandrounds import report, running, tables, together
from grandrounds.errors import BadData, BadSpec, Refusal, StoreTrouble
from grandrounds.report.content import ReportContent
from grandrounds.running import REPORT, STUDY, Outcome
from grandrounds.specs import differences
from grandrounds.study import engine, tasks
from grandrounds.study.engine import Listener, Silent
from grandrounds.study.planning import price_study, toml
from grandrounds.study.run import failed_in, save_study
from grandrounds.study.spec import Ask, Study
from grandrounds.study.touched import touched_since_read
from grandrounds.study.workspace import Workspace
from grandrounds.training import launched

_BACK = (("All tasks on one page", f"../{REPORT}"),)


def asked_in(folder: Path) -> Ask | None:
    """Return what is asked of several tasks in a run folder; None where it is the folder of one task, or of none."""
    if not (folder / STUDY).exists():
        return None
    found = running.study_in_file(folder / STUDY)
    return found if isinstance(found, Ask) else None


def places(folder: Path) -> dict[str, Path]:
    """Return the run folder of each task of a study; none where it is the folder of one task, or of no study."""
    ask = asked_in(folder)
    return {} if ask is None else tasks.folders(ask, folder)


def refuse(folder: Path, why: str) -> None:
    """Refuse to do with a study of several tasks what can be done with one.

    Raises:
        BadSpec: It is one; the message names the folders of its tasks.
    """
    if of_tasks := places(folder):
        named = ", ".join(map(str, of_tasks.values()))
        raise BadSpec(f"this is a study of several tasks: {why}", where=folder, remedy=f"name one of: {named}")


def plan(ask: Ask, folder: Path, listener: Listener, *, cache: Path | None = None) -> Ask:
    """Return the request with each task by its name, and write it and a study for each task into the folder.

    Raises:
        BadSpec: The folder holds another study already.
    """
    ask = _by_name(ask, folder)
    with engine.workers(ask) as executor:
        _opened(ask, folder, listener, cache, executor, done=_done(ask, folder))
    return ask


def run(ask: Ask, folder: Path, listener: Listener | None = None, *, cache: Path | None = None) -> Outcome:
    """Bring every task to its report, and all of them to one page; go on where an interrupted run stopped.

    A task that cannot be finished does not take the others with it.

    Args:
        ask: What is asked for, for each task alike.
        folder: The run folder of the whole.
        listener: Told how it goes.
        cache: Where prepared images and simulated data are kept; None for the run folder.

    Raises:
        BadData: Fewer than two tasks could be finished, so that there is nothing to put on one page.
    """
    listener, ask = listener or Silent(), _by_name(ask, folder)
    done, failed = _complete(ask, folder), dict[str, str]()
    if len(done) < len(ask.data.options.tasks) or touched_since_read(ask.data, (folder, *_homes(ask, folder))):
        planned = all((one / STUDY).exists() for one in tasks.folders(ask, folder).values())
        running.refuse_unplanned(planned=planned, folder=folder)
        with engine.workers(ask) as executor:
            opened = _opened(ask, folder, listener, cache, executor, done=done)
            (folder / REPORT).unlink(missing_ok=True)  # its absence says that this did not end
            failed |= _each(opened, executor, listener)
    else:
        _keep(ask, folder)
        if (folder / REPORT).exists():
            return _outcome(ask, folder, content(folder), did_something=False)
    if not launched.first():
        return Outcome(folder, ask, (), None, did_something=True)
    shown = content(folder, failed)
    report.write_all(shown, folder)
    return _outcome(ask, folder, shown, did_something=True, failed=tuple(failed.values()))


def content(folder: Path, failed: Mapping[str, str] = MappingProxyType({}), out: Path | None = None) -> ReportContent:
    """Return what the page over the finished tasks of a study shows, and write its tables.

    Args:
        folder: The run folder of the whole.
        failed: What went wrong with tasks that are not finished, where that is known.
        out: Where the tables go; None for the run folder.

    Raises:
        BadData: Fewer than two tasks are finished.
        BadSpec: This is no study of several tasks.
    """
    ask = asked_in(folder)
    if ask is None:
        raise BadSpec("this is no study of several tasks", where=folder, remedy="name the run folder that --tasks made")
    of_tasks, done = places(folder), _done(ask, folder)
    lacking = tuple(failed.get(name, f"The task {name} is not finished.") for name in of_tasks if name not in done)
    if len(done) < 2:
        raise BadData(
            f"a page over several tasks wants two that are finished: {' '.join(lacking)}", where=folder,
            remedy=f"go on with it: grandrounds run {folder}",
        )  # fmt: skip
    links = tuple((name, f"{of_tasks[name].name}/{REPORT}") for name in done) if out in (None, folder) else ()
    return together.of_study([of_tasks[name] for name in done], out or folder, ask.name, links, lacking)


def _by_name(ask: Ask, folder: Path) -> Ask:
    """Return the request with each task by its name.

    Raises:
        BadSpec: The folder holds a study that was asked for differently.
    """
    ask = tasks.by_name(ask)
    if (folder / STUDY).exists():
        before = running.study_in_file(folder / STUDY)
        alike = ask.replaced(means=ask.means.replaced(workers=before.means.workers).model_dump())
        if before != alike:
            same = isinstance(before, Ask)
            changed = differences(before, alike, Ask.model_fields) if same else ["it is of one task"]
            running.refuse_changed(changed, folder)
    return ask


def _homes(ask: Ask, folder: Path) -> Collection[Path]:
    return tasks.folders(ask, folder).values()


def _keep(ask: Ask, folder: Path) -> None:
    """Write what is asked of all tasks, where it is not there yet."""
    if not (folder / STUDY).exists():
        with tables.atomic(folder / STUDY) as temporary:
            temporary.write_text(toml(ask), encoding="utf-8")


def _done(ask: Ask, folder: Path) -> list[str]:
    """Return the tasks that are finished."""
    homes, asks = tasks.folders(ask, folder), tasks.of_each(ask)
    studies = {name: _saved(asks[name], homes[name]) for name in asks}
    return [name for name, study in studies.items() if study is not None and running.is_done(study, homes[name])]


def _complete(ask: Ask, folder: Path) -> list[str]:
    """Return the tasks that are finished and have no trial to be tried again."""
    homes = tasks.folders(ask, folder)
    return [name for name in _done(ask, folder) if not failed_in(homes[name])]


def _saved(ask: Ask, place: Path) -> Study | None:
    try:
        return running.saved(ask, place)
    except BadSpec as error:
        remedy = "change the study.toml of the whole and of each task alike, or start in another folder with -o"
        raise BadSpec(error.what, where=place, remedy=remedy) from None


def _opened(
    ask: Ask, folder: Path, listener: Listener, cache: Path | None, executor: Executor, *, done: Collection[str]
) -> dict[str, tuple[Study, Workspace]]:
    """Return the study of each task that is not done with its data, those that were not planned yet planned now."""
    asks, homes = tasks.of_each(ask), tasks.folders(ask, folder)
    before = {name: study for name in asks if (study := _saved(asks[name], homes[name])) is not None}
    opened = tasks.open_workspaces(
        asks, homes, listener.says, cache=cache or folder,
        pipelines={name: study.prepare for name, study in before.items()},
    )  # fmt: skip
    _keep_labels(opened, folder)
    found, asking = {}, engine.Once(executor)  # tasks on the same patients have the same price
    for name in (one for one in asks if one not in done):
        listener.says(f"Task {name}:")
        study, workspace = before.get(name), opened[name]
        if study is None:
            study = running.planned_in(asks[name], workspace, asking, listener)
        else:
            listener.priced(study, price_study(study, workspace, asking, listener.says))
        found[name] = study, workspace
    _keep(ask, folder)  # all are declared or none, so that one that is refused binds nobody to what was asked
    for study, workspace in found.values():
        save_study(study, workspace.store)
    return found


def _keep_labels(opened: Mapping[str, Workspace], folder: Path) -> None:
    """Write the labels of all tasks into one table."""
    labels = pl.concat([one.dataset.labels for one in opened.values()])
    meta = {"tasks": [one.dataset.task.model_dump() for one in opened.values()]}
    tables.write(labels, tables.LABELS, folder / "labels.parquet", meta)


def _each(opened: Mapping[str, tuple[Study, Workspace]], executor: Executor, listener: Listener) -> dict[str, str]:
    """Train and judge each task, and return what went wrong with those that could not be finished."""
    failed = {}
    for name, (study, workspace) in opened.items():
        listener.says(f"Task {name}:")
        try:
            trials = running.trained(study, workspace, executor, listener)
            if launched.first():
                running.finish(study, workspace, trials, listener, _BACK)
        except StoreTrouble:  # the others would meet the same disk, or workers that have died
            raise
        except Refusal as error:
            failed[name] = f"The task {name} could not be finished: {error.in_one_line}."
            listener.says(failed[name])
    return failed


def _outcome(
    ask: Ask, folder: Path, shown: ReportContent, *, did_something: bool, failed: tuple[str, ...] = ()
) -> Outcome:
    lost = tuple(one for place in places(folder).values() for one in running.failed_trials(place, folder))
    return Outcome(folder, ask, shown.verdict_sentences, shown.ships, did_something, failed, lost, shown)
