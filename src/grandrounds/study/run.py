"""Running a study: open, train what is missing, judge, keep pictures and the record.

The same call on the same folder goes on where the last one stopped, and tries again what failed; on a finished study it
does nothing.
"""

from __future__ import annotations

import json
from concurrent.futures import Executor
from pathlib import Path

import polars as pl

from grandrounds import tables
from grandrounds.evaluate.catalogue import primary_for
from grandrounds.evaluate.cohort import CELL
from grandrounds.evaluate.levels import Key, in_words
from grandrounds.evaluate.verdict import Verdict
from grandrounds.splits import ledger
from grandrounds.study import pictures
from grandrounds.study.engine import Listener, run_all
from grandrounds.study.evidence import DECLARED, LEDGER, declared
from grandrounds.study.job import Job, Trial, trials_of
from grandrounds.study.judging import judge_run
from grandrounds.study.planning import toml
from grandrounds.study.record import record
from grandrounds.study.spec import Study
from grandrounds.study.store import Store
from grandrounds.study.trial import FITTED
from grandrounds.study.workspace import Workspace
from grandrounds.wording import many

RECORD = "record.json"


def save_study(study: Study, store: Store) -> Path:
    """Write `study.toml` into the run folder."""
    return store.write_text("study.toml", toml(study))


def train(study: Study, workspace: Workspace, executor: Executor, listener: Listener) -> list[Trial]:
    """Run every trial that is not on the disk yet or has failed, and return all of them."""
    store = workspace.store
    swept = store.sweep()
    if swept:
        listener.says(f"Swept {swept} unfinished trials of an earlier run; they are trained again.")
    trials = trials_of(
        study.recipes, workspace.plan, workspace.prepared.path.stem,
        seed=study.seed, seeds=study.seeds, threads=study.means.threads, device=study.means.device, curve=study.curve,
        others=tuple(one.split for one in workspace.beside),
    )  # fmt: skip
    shared = workspace.prepared.path, workspace.dataset.root, workspace.dataset.flips
    beside = tuple(one.folder for one in workspace.beside)
    failed = store.failed([trial.name for trial in trials])
    if failed:
        listener.says(f"{many(len(failed), 'trial')} failed in an earlier run: tried again now.")
    jobs = [Job(trial, store.folder, *shared, beside=beside, again=trial.name in failed) for trial in trials]
    n_last = len(study.recipes)
    # A ladder climbs from cheap to dear: its last round goes down, so that no long trial is left to run by itself.
    run_all([*jobs[:-n_last], *reversed(jobs[-n_last:])], executor, listener, workers=study.means.workers)
    return trials


def conclude(
    study: Study, workspace: Workspace, trials: list[Trial], links: tuple[tuple[str, str], ...] = ()
) -> Verdict:
    """Judge what was trained, and write the pictures and the record; the record is written last."""
    store, dataset = workspace.store, workspace.dataset
    names = [trial.name for trial in trials]
    whole = [trial.name for trial in trials if trial.part == 1]
    parts = {part: [one.name for one in trials if one.part == part] for part in study.curve}
    opened = ledger.count(dataset.root, workspace.plan.opens)
    times = {"times": opened.n, "by trials": opened.trials, "first": opened.first, "last": opened.last}
    primary_for(dataset.task, study.judge.primary)  # what cannot be judged was never declared
    own, before = [study.judge.primary, study.judge.margin], declared(store.folder)
    store.write_json(LEDGER, times | {DECLARED: [*before, *([own] if before[-1:] != [own] else [])]})
    decision = judge_run(study, store, workspace.plan, dataset.task, whole, parts)
    labels = dataset.labels.select("case", "label")
    suspects = tables.read(tables.SUSPECTS, store.folder / "suspects.parquet").frame
    shown = pictures.to_show(suspects, (decision.leader, decision.ships))  # of all families the page would grow too big
    pictures.write(store.folder / "pictures", dataset.samples, labels, workspace.prepared, study.seed, shown)
    facts = record() | {
        "study": study.identity(),
        "dataset": dataset.fingerprint,
        "split": workspace.plan.identity,
        "trials": names,
        "test role opened": times,
        "compared by": decision.unit,
        "samples combined by": in_words(decision.combined),
        "ships": decision.ships,
        "links": links,
    }
    store.write_json(RECORD, facts)
    return decision


def is_finished(study: Study, folder: Path) -> bool:
    """Whether this very study has been trained and judged in that folder."""
    path = folder / RECORD
    if not path.exists():
        return False
    facts = json.loads(path.read_text(encoding="utf-8"))
    store = Store(folder)
    return facts["study"] == study.identity() and all(trial in store for trial in facts["trials"])


def failed_in(folder: Path) -> list[str]:
    """Return the names of the trials of a judged study that failed; none where nothing was judged."""
    path = folder / RECORD
    return Store(folder).failed(json.loads(path.read_text(encoding="utf-8"))["trials"]) if path.exists() else []


def fitted(store: Store, family: str) -> dict[Key, Path]:
    """Return the saved models of one family, one a judged trial; together they are the ensemble that ships."""
    judged = tables.read(tables.TRIALS, store.folder / "trials.parquet").frame
    done = judged.filter((pl.col("family") == family) & pl.col("status").is_in(["done", "truncated"])).sort("trial")
    rows = done.select("trial", *CELL).iter_rows()
    return {(str(name), *run): store.path(trial) / FITTED for trial, name, *run in rows}
