"""From a finished study to the bundle that ships: the models of one family, and how they answer."""

from __future__ import annotations

from pathlib import Path

from grandrounds.evaluate import levels
from grandrounds.evaluate.answer import Verdict
from grandrounds.serve import bundle
from grandrounds.serve.bundle import Bundle
from grandrounds.study.run import fitted
from grandrounds.study.spec import Study
from grandrounds.study.workspace import Workspace


def ship(family: str, decision: Verdict, study: Study, workspace: Workspace, folder: Path) -> Bundle:
    """Write the bundle of one family and return its manifest.

    Args:
        family: Which.
        decision: The verdict; it says what was compared, and how each trial makes one answer of several samples.
        study: What was run.
        workspace: Its data and its run folder.
        folder: Where the bundle goes.
    """
    models, rules = fitted(workspace.store, family), levels.remembered(decision.combined)
    return bundle.write(
        folder, list(models.values()),
        family=family, task=workspace.dataset.task, pipeline=study.prepare,
        shape=tuple(workspace.prepared.pixels.shape[1:]), fingerprint=workspace.dataset.fingerprint,
        simulated=workspace.dataset.simulated, unit=decision.unit,
        rules=tuple(rules[trial] for trial in models) if rules else (),
    )  # fmt: skip
