"""One trial from a run folder to a folder of its own.

A trial is a pure function of its job; the job is keyed by a hash of everything that decides the outcome. The test
role is predicted once, after fitting, and that opening is counted in the ledger beside the data.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from grandrounds import families, tables
from grandrounds.errors import OF_THE_DISK, BadData, NotApplicable, Refusal, StoreTrouble
from grandrounds.families.protocol import Budget, Fitted, View
from grandrounds.shapes import Probs
from grandrounds.splits import ledger
from grandrounds.study.job import Job, Trial
from grandrounds.study.peak import PeakMemory
from grandrounds.study.store import Store
from grandrounds.study.views import Views
from grandrounds.tables import Role
from grandrounds.training import launched
from grandrounds.training.epoch import Epoch

FITTED = "fitted"  # the folder of a trial that holds the model
_SUM_TOLERANCE = 1e-6


def run_trial(job: Job) -> str:
    """Fit, predict and save one trial; return its status."""
    store, trial = Store(job.run), job.trial
    if trial.name in store and not job.again:
        return "done"
    if not launched.first():
        return _help(job)
    views, history = Views(job), list[Epoch]()
    with store.writing(trial.name) as folder, PeakMemory() as peak, threadpool_limits(trial.threads):
        started = time.perf_counter()
        try:
            fitted = _fit(trial, views, _watch(history, store.progress_path(trial.name)))
            fit_s = time.perf_counter() - started
            row = _outcome(job, views, fitted, folder)
        except Exception as error:  # a family may be anybody's code; the others go on
            if isinstance(error, StoreTrouble) or (isinstance(error, OSError) and error.errno in OF_THE_DISK):
                raise
            fit_s = time.perf_counter() - started
            row = _failure(error, folder)
        row |= {"fit_s": fit_s, "peak_mib": peak.mib} | trial.columns | {"threads": trial.threads}
        _save_tables(trial, row, history, folder)
    return str(row["status"])


def _help(job: Job) -> str:
    """Fit along with the first process, which alone predicts and writes."""
    if families.FAMILIES.get(job.trial.recipe.family).iterates:
        with contextlib.suppress(Exception):  # the first process meets it too, and records it
            _fit(job.trial, Views(job), lambda _: None)
    return "done"


def _fit(trial: Trial, views: Views, watch: Callable[[Epoch], None]) -> Fitted:
    budget = Budget(
        epochs=max(trial.recipe.epochs, 1), cap_s=trial.recipe.cap_s, threads=trial.threads, device=trial.device
    )
    family = families.build(trial.recipe.family, trial.recipe.params.model_dump())
    with _stopped_after(trial.recipe.cap_s):
        return family.fit(views.of("train"), views.of("valid"), budget, trial.seed, watch)


def _failure(error: Exception, folder: Path) -> dict[str, object]:
    """Record a family that could not be fitted; the study goes on without this trial."""
    tables.write(tables.empty(tables.PREDICTIONS), tables.PREDICTIONS, folder / "predictions.parquet")
    shutil.rmtree(folder / FITTED, ignore_errors=True)  # a model that cannot predict is none
    (folder / "error.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    status = "not applicable" if isinstance(error, NotApplicable) else "failed"
    note = error.in_one_line if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    return {"status": status, "note": note}


def _outcome(job: Job, views: Views, fitted: Fitted, folder: Path) -> dict[str, object]:
    """Save the model, predict valid and perhaps calib and test, and return what the trials table says of it."""
    home = folder / FITTED
    home.mkdir()
    fitted.save(home)
    started = time.perf_counter()
    predicted = [_predicted(views, fitted, "valid")]
    if job.opens_test:
        predicted += [_predicted(views, fitted, "calib")] if views.has("calib") else []
        ledger.open_test(
            job.data, views.plan.opens, views.plan.identity, job.trial.name, dt.datetime.now(dt.UTC).isoformat()
        )
    if job.opens_test or job.inside:
        predicted.append(_predicted(views, fitted, "test"))
    predict_s = time.perf_counter() - started
    frame = pl.concat(predicted)
    tables.write(frame, tables.PREDICTIONS, folder / "predictions.parquet", {"task": views.task.model_dump()})
    row = _facts(views, fitted, home) | {"predict_s": predict_s}
    if not job.opens_test:
        shutil.rmtree(home)
    return row


def _predicted(views: Views, fitted: Fitted, role: Role) -> pl.DataFrame:
    return views.predictions(role, _checked(fitted, views.of(role, labelled=False)))


def _checked(fitted: Fitted, view: View) -> Probs:
    """Return a model's probabilities, or refuse what cannot be any.

    Raises:
        BadData: Rows or classes are missing, or a row is not a set of probabilities.
    """
    probs = fitted.predict(view)
    wanted = len(view.pixels), view.n_classes
    if probs.shape != wanted:
        what = f"the family gave probabilities of (rows, classes) = {probs.shape} for {wanted}"
    elif not np.isfinite(probs).all():
        what = f"the family gave {int((~np.isfinite(probs)).any(axis=1).sum())} rows that are not finite"
    elif np.abs(probs.sum(axis=1) - 1).max(initial=0.0) > _SUM_TOLERANCE or probs.min(initial=0.0) < 0:
        what = "the family gave rows that are no probabilities: each has to be positive and sum to one"
    else:
        return probs
    raise BadData(what, remedy="leave this family out, or mend it")


@contextlib.contextmanager
def _stopped_after(cap_s: float | None) -> Iterator[None]:
    """Stop a family that does not look at the clock itself; it has twice the time of one that does."""
    if cap_s is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise BadData(
            f"the family did not stop after its {cap_s:g} seconds", remedy="give it a greater cap_s, or mend it"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2 * cap_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _facts(views: Views, fitted: Fitted, home: Path) -> dict[str, object]:
    """Return what the trials table says of a fitted model that was saved."""
    return {
        "status": "truncated" if fitted.record.truncated else "done",
        "epochs": fitted.record.epochs,
        "best_epoch": fitted.record.best_epoch,
        "latency_ms": _latency_ms(fitted, views.one()),
        "n_parameters": fitted.record.n_parameters,
        "size_bytes": sum(path.stat().st_size for path in home.rglob("*") if path.is_file()),
        "fitted_hash": families.fitted_hash(home),
        "note": "; ".join(fitted.record.told) or None,
    }


def _save_tables(trial: Trial, row: dict[str, object], history: list[Epoch], folder: Path) -> None:
    epochs = pl.DataFrame([asdict(epoch) | {"trial": trial.name} for epoch in history])
    epochs = epochs.drop("n_epochs") if history else tables.empty(tables.HISTORY)
    tables.write(epochs, tables.HISTORY, folder / "history.parquet")
    tables.write(pl.DataFrame([row]), tables.TRIALS, folder / "trials.parquet")
    (folder / "trial.json").write_text(trial.model_dump_json(indent=2), encoding="utf-8")


def _watch(history: list[Epoch], path: Path) -> Callable[[Epoch], None]:
    """Return a function that remembers epochs and notes them where the main process can see them."""

    def watch(epoch: Epoch) -> None:
        history.append(epoch)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(epoch)) + "\n")

    return watch


def _latency_ms(fitted: Fitted, one: View, n: int = 5) -> float:
    """Return the median milliseconds to predict one image, or one case."""
    seconds = []
    for _ in range(n + 1):
        started = time.perf_counter()
        fitted.predict(one)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]) * 1000)
