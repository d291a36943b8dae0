"""Running trials: any `concurrent.futures.Executor` will do.

In-process and in worker processes are here; a cluster's executor fits in the same place. Workers tell how far they
are through a small file a trial, so that progress needs no channel but the run folder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import polars as pl

from grandrounds import families, tables
from grandrounds.errors import StoreTrouble
from grandrounds.processes import end, furnished
from grandrounds.study.job import Job, Trial
from grandrounds.study.spec import Ask, Study
from grandrounds.study.store import Store
from grandrounds.study.trial import run_trial
from grandrounds.training import launched
from grandrounds.training.epoch import Epoch

P = ParamSpec("P")
T = TypeVar("T")

LIBRARIES, FEW_LIBRARIES = "grandrounds.study.libraries", "grandrounds.study.few_libraries"


class Listener(Protocol):
    """Who wants to know how a study goes; the command line shows it, tests record it."""

    def says(self, sentence: str) -> None:
        """Tell one thing that a user should know."""
        ...

    def priced(self, study: Study, prices: pl.DataFrame) -> None:
        """Tell what each family will cost, before anything is trained."""
        ...

    def trials_planned(self, n_trials: int, n_done: int) -> None:
        """Tell how many trials there are and how many are already there."""
        ...

    def trials_running(self, epochs: Sequence[tuple[Trial, Epoch | None]]) -> None:
        """Tell the latest epoch of each running trial; None before its first."""
        ...

    def trial_finished(self, trial: Trial, status: str) -> None:
        """Tell that one trial is on the disk."""
        ...


class Silent:
    """A listener that says nothing."""

    def says(self, sentence: str) -> None:
        """Ignore the sentence."""

    def priced(self, study: Study, prices: pl.DataFrame) -> None:
        """Ignore the prices."""

    def trials_planned(self, n_trials: int, n_done: int) -> None:
        """Ignore the counts."""

    def trials_running(self, epochs: Sequence[tuple[Trial, Epoch | None]]) -> None:
        """Ignore the epochs."""

    def trial_finished(self, trial: Trial, status: str) -> None:
        """Ignore the trial."""


class InProcess(Executor):
    """An executor that does the work at once, in this process; for tests and debuggers."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call the function now and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (the future hands it to whoever asks for the result)
            future.set_exception(error)
        return future


class Once(Executor):
    """An executor that asks another one, and the same thing no more than once.

    Args:
        executor: Who does the work.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor, self._asked = executor, dict[str, Future[Any]]()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of this call, or of an earlier one of the same function with equal arguments."""
        key = repr((fn.__module__, fn.__qualname__, args, kwargs))
        if key not in self._asked:
            self._asked[key] = self._executor.submit(fn, *args, **kwargs)
        return self._asked[key]


@contextlib.contextmanager
def workers(ask: Ask, only: str | None = None) -> Iterator[Executor]:
    """Give an executor of as many worker processes as a request allows, which are ended with the block.

    What training imports takes seconds; it is imported from here on, while this process reads images. Floors, which
    need the least of it, are not made to wait for the rest. Processes that `torchrun` has started do all of the work
    themselves, each on its part of every batch.

    Args:
        ask: What is to be trained, and by how many.
        only: The one family that is trained, where it is not those of the request.
    """
    names = (only,) if only else (*ask.families, *(recipe.family for recipe in ask.recipes))
    few = all(families.FAMILIES.get(name).kind == "floor" for name in names)
    modules = [FEW_LIBRARIES if few else LIBRARIES]
    executor = InProcess() if launched.several() else furnished(ask.means.workers, modules)
    try:
        yield executor
    finally:
        end(executor)


def run_all(jobs: Sequence[Job], executor: Executor, listener: Listener, *, workers: int = 1) -> None:
    """Run every job whose trial is not on the disk yet, or is to be tried again.

    Args:
        jobs: In the order in which they start.
        executor: Where they run.
        listener: Told how it goes.
        workers: How many run side by side, for the listener: an executor calls waiting jobs running too.

    Raises:
        StoreTrouble: A trial could not be saved, or a worker process died.
    """
    if not jobs:
        return
    store = Store(jobs[0].run)
    missing = [job for job in jobs if job.again or job.trial.name not in store]
    listener.trials_planned(len(jobs), len(jobs) - len(missing))
    told = set[str]()
    with surviving(store.folder, "a worker process died"):
        pending: dict[Future[str], Job] = {executor.submit(run_trial, job): job for job in missing}
        while pending:
            done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                job = pending.pop(future)
                listener.trial_finished(job.trial, future.result())
                why = _why_failed(store, job.trial)
                if why and why not in told:  # it is often the same for all trials of a family
                    listener.says(why)
                    told.add(why)
            running = [job.trial for future, job in pending.items() if future.running()]
            latest = [(trial, _latest(store.progress_path(trial.name))) for trial in running[:workers]]
            listener.trials_running(latest)


@contextlib.contextmanager
def surviving(folder: Path, what: str) -> Iterator[None]:
    """Say in words that a worker process died while the block gave it work, or waited for it.

    Args:
        folder: The run folder.
        what: What happened.

    Raises:
        StoreTrouble: One died.
    """
    try:
        yield
    except BrokenProcessPool:
        raise StoreTrouble(
            f"{what}, most often because the machine ran out of memory", where=folder,
            remedy="give the same command again with --workers 1, which needs less memory; finished trials are kept",
        ) from None  # fmt: skip


def _why_failed(store: Store, trial: Trial) -> str | None:
    told = store.gathered(tables.TRIALS, [trial.name]).filter(status="failed")["note"].drop_nulls()
    return None if told.is_empty() else f"{trial.recipe.family} failed: {told[0]}"


def _latest(path: Path) -> Epoch | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return Epoch(**json.loads(lines[-1])) if lines else None
    except (OSError, ValueError):  # not there yet, or half a line
        return None
