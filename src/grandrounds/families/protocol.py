"""The contract between a study and a family of classifiers.

A family is fitted on two views (`train`, `valid`) under a budget and a seed, and gives back a fitted model that turns a
view into probabilities. It never chooses its own split or budget. Whatever is learned from data (means, weights of
classes, a support vector machine's scale) is learned inside `fit`, so that it never crosses a fold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds.shapes import Batch, ClassIndex, Images, Probs
from grandrounds.specs import Spec
from grandrounds.tables import Task, patient_hashes
from grandrounds.training.epoch import Epoch


@dataclass(frozen=True, slots=True)
class View:
    """The prepared images of one role, with their rows of the samples table.

    Args:
        pixels: (N, C, H, W) or (N, C, D, H, W), about 0 to 1; read-only, and perhaps still on the disk.
        samples: N rows of the samples table, clinical columns included, labels never.
        labels: (N,) class index in the task's order; None where the view is to be predicted.
        task: What is to be told from an image.
        flips: Whether mirroring left and right keeps the label and the anatomy plausible.
        cache: Folder for what is computed from single images without learning; None for none.
        others: The same role in each other task of a study, for a family that learns several tasks at once; of the
            role train alone.
    """

    pixels: Images
    samples: pl.DataFrame
    labels: ClassIndex | None
    task: Task
    flips: bool = False
    cache: Path | None = None
    others: tuple[View, ...] = ()

    @property
    def array(self) -> Batch:
        """All of the pixels, in memory."""
        return np.asarray(self.pixels)

    @property
    def n_classes(self) -> int:
        """How many classes the task has."""
        return len(self.task.classes)

    @property
    def patients(self) -> frozenset[str]:
        """Whose pixels these are, as hashes: a model that ships carries them and must name nobody."""
        return frozenset(patient_hashes(self.samples["patient"]).unique())

    def rows(self, which: NDArray[np.bool_]) -> Self:
        """Return the view of some of its images, (N,); who is left out is left out of the other tasks too."""
        labels = None if self.labels is None else self.labels[which]
        kept = self.samples.filter(which)
        others = tuple(one.rows(_stays(one.samples, self.samples, kept)) for one in self.others)
        return replace(self, pixels=self.pixels[which], samples=kept, labels=labels, others=others)


def _stays(rows: pl.DataFrame, samples: pl.DataFrame, kept: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of another task are of no sample and of no patient that were left out of these samples."""
    gone = samples.join(kept, on="sample", how="anti")["sample"]
    nobody = samples.join(kept, on="patient", how="anti")["patient"]
    out = rows["sample"].is_in(gone.implode()) | rows["patient"].is_in(nobody.implode())
    return (~out).to_numpy()


class Budget(Spec):
    """What one trial may spend; the same for every family, fixed when the study is planned.

    Args:
        epochs: Passes over the training images; ignored by families that do not iterate.
        cap_s: The clock only stops a trial that overruns this, which is then marked truncated; None for no cap.
        threads: CPU threads.
        device: `"cpu"`, `"cuda"` or `"mps"`.
    """

    epochs: int = 1
    cap_s: float | None = None
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class FitRecord:
    """What fitting did.

    Args:
        patients: Everyone whose pixels were seen, valid included, as `View.patients` gives them.
        n_parameters: Learned numbers.
        epochs: Passes made; 0 for families that do not iterate.
        best_epoch: The pass whose weights are kept; 0 for families that do not iterate.
        truncated: Whether the clock stopped it.
        notes: What a reader should be told that was planned, for example how class imbalance was met.
        licences: Of published weights that it started from; a model that ships carries them.
        departures: What went otherwise than planned; what is made of several trainings passes on those of each.
    """

    patients: frozenset[str]
    n_parameters: int
    epochs: int = 0
    best_epoch: int = 0
    truncated: bool = False
    notes: tuple[str, ...] = field(default=())
    licences: tuple[str, ...] = ()
    departures: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Everything that a reader should be told."""
        return *self.notes, *self.departures

    def departures_of(self, who: str) -> tuple[str, ...]:
        """Return what went otherwise than planned, with who it happened to in front."""
        return tuple(f"{who}: {one}" for one in self.departures)


Watch = Callable[[Epoch], None]


class Fitted(Protocol):
    """A trained model with everything it needs to be applied to new images."""

    record: FitRecord

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K) in the task's class order; rows sum to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into an existing, empty folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote; opens no pickle and imports nothing that the files name."""
        ...


class Family(Protocol):
    """A way to turn labelled images into a probability model; built from its parameters alone."""

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> Fitted:
        """Return the model fitted on `train`, its best epoch chosen on `valid`.

        Raises:
            BadData: The images are too small or have the wrong number of channels for this family.
        """
        ...


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """One family of the catalogue; listed without importing what it needs.

    Args:
        name: What users type.
        kind: Floor, handcrafted, cnn, resnet, transformer, or by name: a network of another library.
        summary: One line for `grandrounds list families`.
        build: `"module:Class"`; called with one instance of `params`.
        params: `"module:Spec"`; every field has a default.
        fitted: `"module:Class"` with `load`.
        defaults: Fields of `params` that this entry sets otherwise.
        reference: Paper or page.
        requires: Packages that must be installed.
        iterates: Whether more epochs mean more training.
        reads: Whether it reads a sample or a whole case.
        smallest_px: Images with a shorter side than this are refused.
        dims: Axes of space of the images that it reads: 2 for planes, 3 for volumes.
        n_parameters: Learned numbers with its own recipe, for grey images of 64 pixels and two classes; None where they
            depend on the images or on a name.
        learns_several: Whether it learns the other tasks of a study along with its own.
    """

    name: str
    kind: str
    summary: str
    build: str
    params: str
    fitted: str
    reference: str
    defaults: tuple[tuple[str, object], ...] = ()
    requires: tuple[str, ...] = ()
    iterates: bool = False
    reads: str = "sample"
    smallest_px: int = 1
    dims: tuple[int, ...] = (2,)
    n_parameters: int | None = None
    learns_several: bool = False
