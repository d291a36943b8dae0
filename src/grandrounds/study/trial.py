"""One trial: one recipe on one fold with one seed, from a run folder to a folder of its own.

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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from grandrounds import families, tables
from grandrounds.errors import BadData, Leak, NotApplicable, Refusal, StoreTrouble
from grandrounds.families.protocol import Budget, Fitted, View
from grandrounds.prepare import PreparedArray
from grandrounds.seeds import derive
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.specs import Spec, digest
from grandrounds.splits import Fold, SplitPlan, ledger
from grandrounds.study.peak import PeakMemory
from grandrounds.study.spec import Recipe
from grandrounds.study.store import Store
from grandrounds.study.subsets import part_of
from grandrounds.tables import PROB, Role, Task
from grandrounds.training import launched
from grandrounds.training.epoch import Epoch

FITTED = "fitted"  # the folder of a trial that holds the model
_SUM_TOLERANCE = 1e-6


class Trial(Spec):
    """The key of one trial.

    Args:
        recipe: What is fitted.
        repeat: Repeat of the split.
        fold: Fold of the split.
        seed: Root seed of this trial.
        study_seed: Number of the seed, from 0.
        split: Identity of the split plan.
        prepared: Identity of the prepared images.
        threads: CPU threads.
        device: Where it runs.
        part: Share of the training patients that it sees.
        others: Identities of the split plans of the other tasks that it learns along, which hold their labels.
    """

    recipe: Recipe
    repeat: int
    fold: int
    seed: int
    study_seed: int
    split: str
    prepared: str
    threads: int = 1
    device: str = "cpu"
    part: float = 1.0
    others: tuple[str, ...] = ()

    def identity(self) -> str:
        """Return a hash of the content; trials on all patients keep the one that they had before there were parts."""
        unasked = {"part"} if self.part == 1 else set[str]()
        return digest(self.model_dump(mode="json", exclude=unasked if self.others else unasked | {"others"}))

    @property
    def name(self) -> str:
        """The folder's name: readable in front, unique behind."""
        part = "" if self.part == 1 else f"-p{100 * self.part:g}"
        place = f"r{self.repeat}-f{self.fold}-s{self.study_seed}{part}"
        return f"{self.recipe.family}-{place}-{self.identity()[:8]}".replace(":", "-")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker process needs for one trial.

    Args:
        trial: What to do.
        run: The run folder, which holds the tables.
        prepared: File of the prepared images.
        data: The folder or file of the images, beside which the ledger lies.
        flips: Whether mirroring keeps label and anatomy plausible.
        opens_test: Whether the test role is predicted; tuning leaves it closed, and keeps no model.
        inside: Whether the plan's folds divide train and valid of the data alone: what such a fold tests is predicted
            all the same, and the ledger does not count it.
        beside: The run folders of the other tasks of the study.
        again: Whether it is done once more where it is there, because it failed.
    """

    trial: Trial
    run: Path
    prepared: Path
    data: Path
    flips: bool
    opens_test: bool = True
    inside: bool = False
    beside: tuple[Path, ...] = ()
    again: bool = False


def run_trial(job: Job) -> str:
    """Fit, predict and save one trial; return its status."""
    store, trial = Store(job.run), job.trial
    if trial.name in store and not job.again:
        return "done"
    if not launched.first():
        return _help(job)
    views, history = _Views(job), list[Epoch]()
    with store.writing(trial.name) as folder, PeakMemory() as peak, threadpool_limits(trial.threads):
        started = time.perf_counter()
        try:
            fitted = _fit(trial, views, _watch(history, store.progress_path(trial.name)))
            fit_s = time.perf_counter() - started
            row = _outcome(job, views, fitted, folder)
        except (StoreTrouble, OSError):
            raise
        except Exception as error:  # noqa: BLE001  (a family may be anybody's code; the others go on)
            fit_s = time.perf_counter() - started
            row = _failure(error, folder)
        row |= {"fit_s": fit_s, "peak_mib": peak.mib} | _key_columns(trial)
        _save_tables(trial, row, history, folder)
    return str(row["status"])


def _help(job: Job) -> str:
    """Fit along with the first process, which alone predicts and writes."""
    if families.FAMILIES.get(job.trial.recipe.family).iterates:
        with contextlib.suppress(Exception):  # the first process meets it too, and records it
            _fit(job.trial, _Views(job), lambda _: None)
    return "done"


def _fit(trial: Trial, views: _Views, watch: Callable[[Epoch], None]) -> Fitted:
    budget = Budget(
        epochs=max(trial.recipe.epochs, 1), cap_s=trial.recipe.cap_s, threads=trial.threads, device=trial.device
    )
    family = families.build(trial.recipe.family, trial.recipe.params.model_dump())
    with _stopped_after(trial.recipe.cap_s):
        return family.fit(views.of("train"), views.of("valid"), budget, trial.seed, watch)


def _failure(error: Exception, folder: Path) -> dict[str, object]:
    """Record a family that could not be fitted; the study goes on without this trial."""
    tables.write(tables.empty(tables.PREDICTIONS), tables.PREDICTIONS, folder / "predictions.parquet")
    (folder / "error.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    status = "not applicable" if isinstance(error, NotApplicable) else "failed"
    note = error.in_one_line if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    return {"status": status, "note": note}


def _outcome(job: Job, views: _Views, fitted: Fitted, folder: Path) -> dict[str, object]:
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


def _predicted(views: _Views, fitted: Fitted, role: Role) -> pl.DataFrame:
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


def _facts(views: _Views, fitted: Fitted, home: Path) -> dict[str, object]:
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


def _key_columns(trial: Trial) -> dict[str, object]:
    return {
        "trial": trial.name,
        "family": trial.recipe.family,
        "recipe": trial.recipe.identity(),
        "repeat": trial.repeat,
        "fold": trial.fold,
        "seed": trial.study_seed,
        "threads": trial.threads,
    }


def _save_tables(trial: Trial, row: dict[str, object], history: list[Epoch], folder: Path) -> None:
    epochs = pl.DataFrame([asdict(epoch) | {"trial": trial.name} for epoch in history])
    epochs = epochs.drop("n_epochs") if history else tables.empty(tables.HISTORY)
    tables.write(epochs, tables.HISTORY, folder / "history.parquet")
    tables.write(pl.DataFrame([row]), tables.TRIALS, folder / "trials.parquet")
    (folder / "trial.json").write_text(trial.model_dump_json(indent=2), encoding="utf-8")


class _Views:
    """The roles of one fold as views; those of calib and test never carry labels.

    Args:
        job: Whose.
        held: Whether planes are held in memory; otherwise they are read when they are asked for.
    """

    def __init__(self, job: Job, *, held: bool = True) -> None:
        samples, meta = tables.read(tables.SAMPLES, job.run / "samples.parquet")
        self.task = Task.model_validate(meta["task"])
        labels = tables.read(tables.LABELS, job.run / "labels.parquet").frame
        self.plan = SplitPlan.load(job.run / "splits.parquet")
        roles = self.plan.roles(Fold(job.trial.repeat, job.trial.fold))
        self._job = job
        prepared = PreparedArray.load(job.prepared)
        self._chosen = prepared.chosen if held else prepared.stored
        self._samples = (
            samples.with_row_index("row")
            .join(labels.select("case", "label"), on="case", how="left", maintain_order="left")
            .join(roles, on="case", how="left", maintain_order="left")
        )

    def of(self, role: Role, *, labelled: bool = True) -> View:
        """Return the view of one role."""
        rows = self._rows(role)
        if role == "train" and self._job.trial.part < 1:
            trial = self._job.trial
            seed = derive(0, "learning curve", split=trial.split, repeat=trial.repeat, fold=trial.fold)
            kept = part_of(rows, trial.part, seed)
            rows = rows.filter(pl.col("patient").is_in(list(kept)))
        view = View(
            pixels=self._chosen(rows["row"].to_numpy()),
            samples=rows.drop("row", "label", "role"),
            labels=self._index(rows) if labelled and role in ("train", "valid") else None,
            task=self.task,
            flips=self._job.flips,
            cache=self._job.prepared.parent / "features",
        )
        return replace(view, others=tuple(self._others(view))) if labelled and role == "train" else view

    def _others(self, view: View) -> Iterator[View]:
        """Yield the role train of each other task that is learned along; of a part of the patients, these alone.

        Raises:
            Leak: Somebody is trained on there who is in another role here.
        """
        if not families.FAMILIES.get(self._job.trial.recipe.family).learns_several:
            return
        elsewhere = self._samples.filter(pl.col("role") != "train")["patient"].implode()
        trial = self._job.trial.replaced(part=1.0)
        for folder in self._job.beside:
            other = _Views(replace(self._job, run=folder, trial=trial, beside=()), held=False).of("train")
            patients = other.samples["patient"]
            if patients.is_in(elsewhere).any():
                raise Leak("a patient who is trained on in one task is tested or chosen by in another", where=folder)
            whole = self._job.trial.part == 1
            yield other if whole else other.rows(patients.is_in(view.samples["patient"].implode()).to_numpy())

    def one(self) -> View:
        """Return what a model reads at once: an image of valid, or for one that reads cases the case that has most."""
        valid = self.of("valid", labelled=False)
        rows = np.arange(len(valid.samples)) == 0
        if families.FAMILIES.get(self._job.trial.recipe.family).reads == "case":
            cases = valid.samples["case"]
            rows = (cases == cases.mode(maintain_order=True)[0]).to_numpy()
        few = valid.rows(rows)
        return replace(few, pixels=np.asarray(few.pixels), cache=None)

    def has(self, role: Role) -> bool:
        """Return whether the split gives that role to anybody who has a label."""
        return not self._rows(role).is_empty()

    def predictions(self, role: Role, probs: Probs) -> pl.DataFrame:
        """Return the rows of the predictions table for one role."""
        trial = self._job.trial
        keys = {name: value for name, value in _key_columns(trial).items() if name != "threads"}
        return (
            self._rows(role)
            .select("sample", "case", "patient", "label")
            .with_columns(
                unit=pl.lit("sample"), task=pl.lit(self.task.name), role=pl.lit(role),
                **{name: pl.lit(value) for name, value in keys.items()},
                **{PROB + name: pl.Series(probs[:, k]) for k, name in enumerate(self.task.classes)},
            )
        )  # fmt: skip

    def _rows(self, role: Role) -> pl.DataFrame:
        return self._samples.filter((pl.col("role") == role) & pl.col("label").is_not_null())

    def _index(self, rows: pl.DataFrame) -> ClassIndex:
        positions = {name: k for k, name in enumerate(self.task.classes)}
        return np.array([positions[label] for label in rows["label"]], dtype=np.int64)


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


def trials_of(
    recipes: tuple[Recipe, ...], plan: SplitPlan, prepared: str,
    *, seed: int, seeds: int, threads: int, device: str, curve: Sequence[float] = (), others: tuple[str, ...] = (),
) -> list[Trial]:  # fmt: skip
    """Return every trial of a study, families innermost so that folds finish together, those on parts last."""
    learns_several = {one.family for one in recipes if families.FAMILIES.get(one.family).learns_several}
    return [
        Trial(
            recipe=recipe, repeat=fold.repeat, fold=fold.fold, study_seed=number,
            seed=derive(seed, "trial", repeat=fold.repeat, fold=fold.fold, number=number),
            split=plan.identity, prepared=prepared, threads=threads, device=device, part=part,
            others=others if recipe.family in learns_several else (),
        )
        for part in (1.0, *sorted(curve, reverse=True))
        for number in range(seeds)
        for fold in plan.folds()
        for recipe in recipes
    ]  # fmt: skip
