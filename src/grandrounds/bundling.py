"""From a finished study to the bundle that ships: the models of one family, and how they answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from grandrounds import families, tables
from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.evaluate.called import Threshold
from grandrounds.evaluate.cohort import checked
from grandrounds.evaluate.gate import Ready, ready
from grandrounds.evaluate.one_of_several import MOST_PROBABLE
from grandrounds.report.card import Shipped, card
from grandrounds.report.gather import gather
from grandrounds.seeds import derive
from grandrounds.serve import bundle
from grandrounds.serve.bundle import Bundle
from grandrounds.serve.envelope import Envelope
from grandrounds.serve.likeness import Likeness
from grandrounds.study.run import fitted
from grandrounds.study.spec import Study
from grandrounds.study.store import Store
from grandrounds.study.workspace import Workspace
from grandrounds.tables import Task

ENOUGH = 2_000  # images, to learn what they show


def ship(family: str, decision: Verdict, study: Study, workspace: Workspace, folder: Path) -> Bundle:
    """Write the bundle of one family and return its manifest.

    Args:
        family: Which.
        decision: The verdict; it says what was compared, and how each trial makes one answer of several samples.
        study: What was run.
        workspace: Its data and its run folder.
        folder: Where the bundle goes.
    """
    store, task = workspace.store, workspace.dataset.task
    models, rules = fitted(store, family), levels.remembered(decision.combined)
    told = _ready(family, decision, study, store, task)
    mended = told is not None and decision.recalibration not in (None, "none")
    calibration = told.methods[family] if told and mended else "none"
    shape, thresholds = tuple(workspace.prepared.pixels.shape[1:]), _thresholds(family, store)
    entry, learned = families.FAMILIES.get(family), _learned_from(family, models.values(), workspace)
    envelope = Envelope.around(workspace.dataset.samples.filter(learned), any_scale=study.prepare.forgets_scale)
    likeness = _likeness(workspace, learned, study.seed)
    shipped = Shipped(
        summary=entry.summary, reference=entry.reference, shape=shape, calibration=calibration,
        thresholds=[(one.rule, one.label, one.at) for one in thresholds],
        weights=_licences(family, models.values()), envelope=None if envelope is None else str(envelope),
        strange={} if likeness is None else likeness.found, data=workspace.dataset.licence,
    )  # fmt: skip
    return bundle.write(
        folder, list(models.values()),
        card=card(gather(store.folder), family, shipped),
        family=family, task=task, pipeline=study.prepare, shape=shape,
        kinds=study.data.options.series.kinds, envelope=envelope, likeness=likeness,
        fingerprint=workspace.dataset.fingerprint, simulated=workspace.dataset.simulated, unit=decision.unit,
        rules=tuple(rules[trial] for trial in models) if rules else (),
        calibration=calibration,
        calibrators=tuple(told.calibrators.get(trial, ()) for trial in models) if told and mended else (),
        thresholds=thresholds,
    )  # fmt: skip


def _licences(family: str, models: Iterable[Path]) -> list[str]:
    """Return the licences of published weights that any of the models started from."""
    return sorted({one for folder in models for one in families.record(family, folder).licences})


def _learned_from(family: str, models: Iterable[Path], workspace: Workspace) -> pl.Series:
    """Return for each sample whether it is of a patient from whom any of the models learned."""
    learned = frozenset[str]().union(*(families.record(family, folder).patients for folder in models))
    return tables.patient_hashes(workspace.dataset.samples["patient"]).is_in(list(learned))


def _likeness(workspace: Workspace, learned: pl.Series, seed: int) -> Likeness | None:
    """Return what the images of training show; of very many, some are enough."""
    rows = np.flatnonzero(learned.to_numpy())
    if len(rows) > ENOUGH:
        rows = np.sort(np.random.default_rng(derive(seed, "likeness")).choice(rows, ENOUGH, replace=False))
    patients = workspace.dataset.samples["patient"].gather(rows).to_numpy()
    return Likeness.of(workspace.prepared.chosen(rows), patients)


def _ready(family: str, decision: Verdict, study: Study, store: Store, task: Task) -> Ready | None:
    """Return the family as it was looked at when it was chosen."""
    rows = tables.read(tables.PREDICTIONS, store.folder / "predictions.parquet").frame.filter(family=family)
    lifted = levels.lift(
        checked(rows, task, tables.ROLES), task, decision.unit, levels.remembered(decision.combined)
    )  # fmt: skip
    return ready(lifted, task, [family], derive(study.seed, "bootstrap"))


def _thresholds(family: str, store: Store) -> tuple[Threshold, ...]:
    """Return the thresholds that call a class, as the report shows them."""
    decisions = tables.read(tables.DECISIONS, store.folder / "decisions.parquet").frame
    calls = decisions.filter(
        pl.col("family") == family, pl.col("metric") == "recall", pl.col("rule") != MOST_PROBABLE
    ).drop_nulls(["threshold", "label"])  # fmt: skip
    rows = calls.select("rule", "label", "threshold").unique(maintain_order=True).iter_rows()
    return tuple(Threshold(rule=rule, label=label, at=at) for rule, label, at in rows)
