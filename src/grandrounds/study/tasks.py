"""Several tasks in one study: each is a run of its own, on one reading of the images and one split of the patients.

What a study of one task is made of stays as it is: the plan, the trials, the judgement, what ships. Only the images are
opened for all tasks at once, and the split is drawn for all at once, with the classes of every task spread evenly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache as once
from functools import partial
from pathlib import Path

from grandrounds import data, prepare
from grandrounds.formats.abreast import Crew
from grandrounds.prepare import Pipeline
from grandrounds.study.spec import Ask
from grandrounds.study.workspace import (
    Beside,
    Opened,
    Say,
    Workspace,
    drawn_for_all,
    forget_refused,
    made_ready,
    of_task,
)

_NO_FOLDER = re.compile(r"[^A-Za-z0-9._-]+")
_TAKEN = ("", "data", "prepared", "csv")  # what lies beside the runs


def is_of_several(ask: Ask) -> bool:
    """Whether a request is for a study of several tasks, and not for one of these."""
    return bool(ask.data.options.tasks) and ask.data.options.task is None


def by_name(ask: Ask) -> Ask:
    """Return the request with every task by its name, where it said `all`.

    Raises:
        BadSpec: There is no such task, or fewer than two are named.
    """
    names = data.tasks_of(ask.data.source, ask.data.options)
    return _with_options(ask, tasks=names)


def of_each(ask: Ask) -> dict[str, Ask]:
    """Return what each task is asked: the same, with an equal part of the budget."""
    names = ask.data.options.tasks
    means = ask.means.replaced(budget_s=ask.means.budget_s / len(names)).model_dump()
    places = _places(names)
    return {
        name: _with_options(ask, task=name).replaced(name=f"{ask.name}-{places[name]}", means=means) for name in names
    }


def folders(ask: Ask, folder: Path) -> dict[str, Path]:
    """Return the run folder of each task, inside the study's."""
    return {name: folder / place for name, place in _places(ask.data.options.tasks).items()}


def _places(names: tuple[str, ...]) -> dict[str, str]:
    """Return for each task what its folder is called; no two are alike, also where upper and lower case are."""
    places: dict[str, str] = {}
    for name in names:
        place = _NO_FOLDER.sub("-", name).strip("-.")
        if place.lower() in {*_TAKEN, *(one.lower() for one in places.values())}:
            place = f"{place}-task-{len(places) + 1}".strip("-")
        places[name] = place
    return places


def _with_options(ask: Ask, **changes: object) -> Ask:
    options = ask.data.options.replaced(**changes)
    return ask.replaced(data=ask.data.replaced(options=options.model_dump()).model_dump())


def open_workspaces(
    asks: Mapping[str, Ask], places: Mapping[str, Path], say: Say, *, pipelines: Mapping[str, Pipeline], cache: Path
) -> dict[str, Workspace]:
    """Open the data of every task, reading each image once, and divide the patients in the same way for all.

    Args:
        asks: What each task is asked.
        places: The run folder of each.
        say: Told what happens, in sentences; what holds for several tasks once.
        pipelines: How to prepare, of tasks that are planned.
        cache: Where data that grandrounds makes and prepared images are kept.

    Raises:
        BadData: Images cannot be read and `skip_bad` was not asked for, or a task has too few patients of a class.
    """
    forget_refused(places.values())
    first, said = next(iter(asks.values())), {name: list[str]() for name in asks}
    with Crew(first.means.workers) as crew:
        ahead = prepare.Ahead.where_new(next(iter(pipelines.values()), None), cache / "prepared")
        opened = data.open_tasks(first.data.source, first.data.options, cache=cache / "data", crew=crew, also=ahead)
        plan, found = once(partial(drawn_for_all, first, opened)), dict[str, Workspace]()
        for name, ask in asks.items():
            dataset = opened[name]
            own = Opened(dataset, partial(of_task, plan, dataset), cache, crew, ahead)
            found[name] = made_ready(ask, own, places[name], said[name].append, pipelines.get(name))
    for sentence in _told(said):
        say(sentence)
    splits_of = {name: Beside(one.store.folder, one.plan.identity) for name, one in found.items()}
    return {
        name: replace(one, beside=tuple(other for of, other in splits_of.items() if of != name))
        for name, one in found.items()
    }


def _told(said: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what holds for all tasks once, and what holds for some with their names."""
    for sentence in dict.fromkeys(sentence for sentences in said.values() for sentence in sentences):
        names = [name for name, sentences in said.items() if sentence in sentences]
        yield sentence if len(names) == len(said) else f"{', '.join(names)}: {sentence}"
