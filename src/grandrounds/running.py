"""A study of one task from what is asked for to its report: planned, trained, judged, written, shipped."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from grandrounds import registry, report, specs
from grandrounds.errors import BadSpec
from grandrounds.report import gather
from grandrounds.report.content import ReportContent
from grandrounds.study import engine
from grandrounds.study.engine import Listener, Silent
from grandrounds.study.job import Trial
from grandrounds.study.planning import plan_study, price_study
from grandrounds.study.run import conclude, failed_in, is_finished, save_study, train
from grandrounds.study.spec import Ask, Study
from grandrounds.study.store import Store
from grandrounds.study.touched import touched_since_read
from grandrounds.study.workspace import Workspace, open_workspace
from grandrounds.training import launched

STUDY, REPORT, MODEL = "study.toml", "report.html", "model"
Links = tuple[tuple[str, str], ...]
_PLANNED = "have a study written that lacks nothing, and change in it what should be otherwise: grandrounds plan DATA"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Args:
        folder: The run folder.
        study: What was run; of several tasks what was asked for.
        sentences: The verdict in words.
        ships: The family in `model/`; None where none ships.
        did_something: False where everything was there already.
        failed: What went wrong with each task that could not be finished.
        failed_trials: Places in the run folder of the trials that failed; the same call tries them again.
        shown: What the report shows; None in a process that only helps another one.
    """

    folder: Path
    study: Study | Ask
    sentences: tuple[str, ...]
    ships: str | None
    did_something: bool
    failed: tuple[str, ...] = ()
    failed_trials: tuple[str, ...] = ()
    shown: ReportContent | None = field(default=None, repr=False, compare=False)

    @property
    def report(self) -> Path:
        """The report's file."""
        return self.folder / REPORT


def plan(ask: Ask, folder: Path, listener: Listener, *, cache: Path | None = None) -> Study:
    """Return a study with its price worked out, and write it to `study.toml` in the folder.

    Raises:
        BadSpec: The folder holds another study already.
    """
    with engine.workers(ask) as executor:
        return _planned(ask, folder, listener, cache, executor)[0]


def run(
    what: Ask | Study, folder: Path, listener: Listener | None = None, *, cache: Path | None = None, links: Links = ()
) -> Outcome:
    """Train, judge, report and bundle a study; go on where an interrupted run stopped; see `api.run`."""
    listener = listener or Silent()
    ask = what if isinstance(what, Ask) else what.asked()
    study = saved(ask, folder) if isinstance(what, Ask) else what
    if study is not None and is_done(study, folder) and not failed_in(folder):
        if isinstance(what, Ask) and touched_since_read(ask.data, [folder]):  # who names data means them as they are
            open_workspace(ask, folder, listener.says, pipeline=study.prepare, cache=cache)
        return outcome(study, folder, did_something=False)
    if ask.data.options.tasks:
        together = f"go on with all of them: grandrounds run {folder.parent}"
        raise BadSpec(
            "this is one task of a study of several, which share what is prepared", where=folder,
            remedy=together if study else "give --task or --tasks, not both",
        )  # fmt: skip
    refuse_unplanned(planned=study is not None, folder=folder)
    with engine.workers(ask) as executor:
        if study is None:
            study, workspace = _planned(ask, folder, listener, cache, executor)
        else:
            workspace = open_workspace(ask, folder, listener.says, pipeline=study.prepare, cache=cache)
            save_study(study, workspace.store)
            listener.priced(study, price_study(study, workspace, executor, listener.says))
        trials = trained(study, workspace, executor, listener)
    if not launched.first():
        return Outcome(folder, study, (), None, did_something=True)
    finish(study, workspace, trials, listener, links)
    return outcome(study, folder, did_something=True)


def saved(ask: Ask, folder: Path) -> Study | None:
    """Return the study in a run folder, None where there is none yet.

    Raises:
        BadSpec: It was asked for differently.
    """
    if not (folder / STUDY).exists():
        return None
    study = study_in_file(folder / STUDY)
    changed = study.differences(ask) if isinstance(study, Study) else ["tasks"]
    if changed or not isinstance(study, Study):
        refuse_changed(changed, folder)
    return study


def refuse_changed(changed: Sequence[str], folder: Path) -> NoReturn:
    """Refuse to go on in a folder with something else than was asked for there.

    Raises:
        BadSpec: Always.
    """
    raise BadSpec(
        f"this folder holds a study that was asked for differently ({'; '.join(changed)})", where=folder,
        remedy=f"go on with it as it is: grandrounds run {folder}; or choose another folder with -o",
    )  # fmt: skip


def study_in_file(path: Path) -> Study | Ask:
    """Return the study in a TOML file; of one of several tasks, what is asked of them.

    Raises:
        BadSpec: The file holds neither.
    """
    content = specs.read_toml(path)
    options = content.get("data", {}).get("options", {})
    if options.get("tasks") and not options.get("task"):
        return specs.parse(Ask, content, where=path)
    return specs.parse(Study, content, where=path, remedy=None if _needed() <= content.keys() else _PLANNED)


def _needed() -> set[str]:
    """Return the keys without which there is no study: planning chooses them, running does not."""
    return {name for name, field in Study.model_fields.items() if field.is_required()}


def is_done(study: Study, folder: Path) -> bool:
    """Whether this very study has been trained and judged in that folder, and its report written."""
    return is_finished(study, folder) and (folder / REPORT).exists()


def refuse_unplanned(*, planned: bool, folder: Path) -> None:
    """Refuse to let each of several processes plan.

    Raises:
        BadSpec: There is no plan yet, and processes were started by `torchrun`.
    """
    if launched.several() and not planned:
        raise BadSpec(
            "several processes cannot plan a study, for each would time it anew", where=folder,
            remedy="plan it first, in one process: grandrounds plan DATA",
        )  # fmt: skip


def _planned(
    ask: Ask, folder: Path, listener: Listener, cache: Path | None, executor: Executor
) -> tuple[Study, Workspace]:
    workspace = open_workspace(ask, folder, listener.says, pipeline=None, cache=cache)
    study = planned_in(ask, workspace, executor, listener)
    save_study(study, workspace.store)
    return study, workspace


def planned_in(ask: Ask, workspace: Workspace, executor: Executor, listener: Listener) -> Study:
    """Return the study that is planned for data which are open."""
    study, prices = plan_study(ask, workspace, executor, listener.says)
    listener.priced(study, prices)
    return study


def trained(study: Study, workspace: Workspace, executor: Executor, listener: Listener) -> list[Trial]:
    """Return every trial of a study, those that were missing trained now."""
    if not launched.several():
        return train(study, workspace, executor, listener)
    with registry.load("grandrounds.training.ranks:joined")(study.means.device):
        return train(study, workspace, executor, listener)


def finish(study: Study, workspace: Workspace, trials: list[Trial], listener: Listener, links: Links) -> None:
    """Judge what was trained, ship what won, and write the report, whose absence says that this did not end."""
    folder = workspace.store.folder
    (folder / REPORT).unlink(missing_ok=True)
    listener.says("Judging: resampling patients and comparing families.")
    decision = conclude(study, workspace, trials, links)
    if decision.ships is not None:
        from grandrounds.bundling import ship  # noqa: PLC0415  (`report` and `inspect` need no part of serving)

        ship(decision.ships, decision, study, workspace, folder / MODEL)
    report.write_all(gather.gather(folder), folder)


def outcome(study: Study, folder: Path, *, did_something: bool) -> Outcome:
    """Return what a finished run says."""
    content = gather.gather(folder)
    return Outcome(
        folder, study, content.verdict_sentences, content.ships, did_something,
        failed_trials=failed_trials(folder, folder), shown=content,
    )  # fmt: skip


def failed_trials(folder: Path, whole: Path) -> tuple[str, ...]:
    """Return where in a whole run folder the trials lie that failed in the folder of one of its tasks."""
    return tuple(str(Store(folder).path(trial).relative_to(whole)) for trial in failed_in(folder))
