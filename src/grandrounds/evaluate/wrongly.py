"""The suspects table: what each family reads most wrongly, and which labels may be wrong themselves.

Predictions of the test role are out of fold: no model has seen the patient whom it reads. A family's worst errors are
the samples called wrong whose stated label it finds least probable, as the mean over folds, repeats and seeds.

A label is suspect where the families together, floors left out, are confident of another class: its mean probability is
at least what it is on average for samples that are labelled so, and higher than that of any other class of which this
can be said. Averages are taken within patients first, so that one with many images does not set the bar. Suspects are
ranked by how far the stated label lies behind. With labels that are right and families that are poor, suspects are
hard cases; nothing is changed or left out for being one.

Assumes: families err more on wrong labels than on right ones, and not the same way on all.

Reference: Northcutt, Jiang & Chuang, Journal of Artificial Intelligence Research 70:1373 (2021), confident learning,
here with patients held out together and their images averaged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.evaluate.cohort import checked
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import PROB, Task

WORST, SUSPECT = "worst error", "label suspect"
MOST = 100  # worst errors of a family that are kept


class _Read(NamedTuple):
    """Samples with their mean probabilities, one row each."""

    rows: pl.DataFrame  # sample, case, patient, label, n_predictions
    label: ClassIndex
    probs: Probs


def read_wrongly(predictions: pl.DataFrame, task: Task, *, floors: Collection[str] = ()) -> pl.DataFrame:
    """Return the suspects table.

    Args:
        predictions: Table `predictions` of families that state probabilities; the role test is looked at.
        task: What was to be told.
        floors: Families that say nothing about a label.
    """
    tested = checked(predictions, task, ["test"])
    tested = tested.sort("family", "sample", "repeat", "fold", "seed")  # the order of the rows must not reach a sum
    rows = [row for family in tested["family"].unique(maintain_order=True) for row in _worst(tested, family, task)]
    rows += _suspects(tested.filter(~pl.col("family").is_in(list(floors))), task)
    frame = pl.DataFrame(rows, schema=dict(tables.SUSPECTS.columns))
    return tables.check(frame.with_columns(task=pl.lit(task.name)), tables.SUSPECTS)


def _read(tested: pl.DataFrame, task: Task) -> _Read:
    """Return the samples, each family counting once however often it was trained."""
    columns = [f"{PROB}{name}" for name in task.classes]
    by_family = tested.group_by("sample", "family", maintain_order=True).agg(
        pl.col("case", "patient", "label").first(), pl.col(columns).mean(), n_predictions=pl.len()
    )
    rows = by_family.group_by("sample", maintain_order=True).agg(
        pl.col("case", "patient", "label").first(), pl.col(columns).mean(), pl.col("n_predictions").sum()
    )
    label = rows["label"].replace_strict(task.classes, range(len(task.classes)), return_dtype=pl.Int64).to_numpy()
    return _Read(rows, label, rows.select(columns).to_numpy())


def _worst(tested: pl.DataFrame, family: str, task: Task) -> Iterator[dict[str, object]]:
    read = _read(tested.filter(pl.col("family") == family), task)
    called = read.probs.argmax(axis=1)
    own = read.probs[np.arange(len(called)), read.label]
    wrong = called != read.label
    order = [int(at) for at in np.argsort(own, kind="stable") if wrong[at]]
    notes = _of_patients(read, wrong, "read wrongly")
    for rank, at in enumerate(order[:MOST], 1):
        yield _row(WORST, rank, read, at, task.classes[called[at]], float(own[at])) | {
            "family": family, "note": notes[at],
        }  # fmt: skip


def _suspects(tested: pl.DataFrame, task: Task) -> Iterator[dict[str, object]]:
    if tested.is_empty():
        return
    read = _read(tested, task)
    bars = _bars(read, len(task.classes))
    confident = np.where(read.probs >= bars, read.probs, -np.inf)  # (N, K); a class without a bar is never confident
    likeliest = confident.argmax(axis=1)
    suspect = np.isfinite(confident.max(axis=1)) & (likeliest != read.label)
    rows = np.arange(len(likeliest))
    own = read.probs[rows, read.label]
    others = np.where(np.eye(len(task.classes), dtype=np.bool_)[read.label], -np.inf, read.probs).max(axis=1)
    order = [int(at) for at in np.argsort(own - others, kind="stable") if suspect[at]]
    agreeing, of_patients = _agreeing(tested, read, task), _of_patients(read, suspect, "suspect")
    for rank, at in enumerate(order, 1):
        said = f"{agreeing[at, likeliest[at]]} of {tested['family'].n_unique()} families call it so"
        notes = [said, of_patients[at]]
        yield _row(SUSPECT, rank, read, at, task.classes[likeliest[at]], float(own[at])) | {
            "family": None, "note": ". ".join(note for note in notes if note),
        }  # fmt: skip


def _bars(read: _Read, n_classes: int) -> NDArray[np.float64]:
    """Return how probable each class is on average where it is the label, (K,); NaN where it never is."""
    bars = np.full(n_classes, np.nan)
    for klass in np.unique(read.label):
        own = read.label == klass
        rows = pl.DataFrame({"patient": read.rows["patient"].filter(pl.Series(own)), "p": read.probs[own, klass]})
        by_patient = rows.group_by("patient").agg(pl.col("p").mean())["p"]
        bars[klass] = by_patient.sort().mean()  # sorted, so that the order of a sum does not reach the result
    return bars


def _agreeing(tested: pl.DataFrame, read: _Read, task: Task) -> NDArray[np.int64]:
    """Return how many families call each sample each class, (N, K)."""
    places = {name: at for at, name in enumerate(read.rows["sample"])}
    votes = np.zeros(read.probs.shape, np.int64)
    for part in tested.partition_by("family"):
        own = _read(part, task)
        at = [places[name] for name in own.rows["sample"]]
        votes[at, own.probs.argmax(axis=1)] += 1
    return votes


def _of_patients(read: _Read, chosen: NDArray[np.bool_], words: str) -> list[str | None]:
    """Return for each sample how many images of its patient are chosen; None where there is one image."""
    counted = read.rows.select("patient", chosen=pl.Series(chosen)).select(
        n=pl.len().over("patient"), n_chosen=pl.col("chosen").sum().over("patient")
    )
    phrase = "{} of {} images of this patient are {}"
    return [phrase.format(n_chosen, n, words) if n > 1 else None for n, n_chosen in counted.iter_rows()]


def _row(kind: str, rank: int, read: _Read, at: int, predicted: str, own: float) -> dict[str, object]:
    sample, case, _, label, *_, n_predictions = read.rows.row(at)
    return {
        "kind": kind, "rank": rank, "sample": sample, "case": case, "label": label, "predicted": predicted,
        "probability": own, "n_predictions": n_predictions,
    }  # fmt: skip
