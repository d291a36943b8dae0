"""A committee: several trainings of one family that decide by their mean probability.

`ensemble:<family>` trains its members on the same images with different seeds; `folds:<family>` deals the training
patients into folds, and each member leaves out another one.

Reference: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty estimation using deep
ensembles, NeurIPS 2017; folds: Krogh, Vedelsby, Neural network ensembles, cross validation, and active learning, NIPS
1994.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from grandrounds import families, seeds
from grandrounds.errors import BadData
from grandrounds.families import state
from grandrounds.families.ensemble import mean_probs
from grandrounds.families.params_of_others import CommitteeParams, FoldsParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import labels_of, patients_of, training_labels
from grandrounds.shapes import Probs
from grandrounds.splits.deal import deal
from grandrounds.tables import patient_hashes
from grandrounds.training.epoch import Epoch


@dataclass(frozen=True, slots=True)
class FittedCommittee:
    """Fitted members of one family.

    Args:
        family: Name of the members' family.
    """

    record: FitRecord
    family: str
    members: tuple[Fitted, ...]

    def predict(self, view: View) -> Probs:
        """Return the members' mean probabilities, (N, K)."""
        return mean_probs(self.members, view)

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own."""
        state.save(folder, self.record, {"family": self.family, "n_members": len(self.members)}, {})
        for place, member in zip(_places(folder, len(self.members)), self.members, strict=True):
            place.mkdir()
            member.save(place)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        family, n_members = saved.content["family"], saved.content["n_members"]
        members = tuple(families.load(family, place) for place in _places(folder, n_members))
        return cls(saved.record, family, members)


@dataclass(frozen=True, slots=True)
class CommitteeFamily:
    """The family of committees whose members these parameters describe."""

    params: CommitteeParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedCommittee:
        """Return the members, each fitted with an equal share of the budget and a seed of its own.

        Raises:
            BadData: The images do not suit the members' family.
        """
        views = [(train, valid)] * self.params.n_members
        fitted = _trained(self.params, views, budget, seed, watch, "each with a seed of its own")
        if families.FAMILIES.get(self.params.member).iterates or not _alike(fitted.members, valid):
            return fitted
        same = f"all members are the same: {self.params.member} draws nothing at random"
        return replace(fitted, record=replace(fitted.record, departures=(*fitted.record.departures, same)))


@dataclass(frozen=True, slots=True)
class FoldsFamily:
    """The family of committees whose members each leave out another part of the training patients."""

    params: FoldsParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedCommittee:
        """Return the members, each fitted with an equal share of the budget and stopped on the patients it left out.

        No member learns from `valid`, which thresholds and calibration need; it counts as seen all the same.

        Raises:
            BadData: There are fewer than two training patients, or the images do not suit the members' family.
        """
        parts = dealt(train, self.params.n_members, seed)
        views = [(train.rows(parts != part), train.rows(parts == part)) for part in np.unique(parts)]
        if any(len(np.unique(labels_of(inside))) < 2 for inside, _ in views):
            raise BadData(
                f"without one of {len(views)} parts of the training patients a single class is left",
                remedy="use ensemble: instead of folds:, for a class has too few patients",
            )
        told = f"each without one of {len(views)} parts of the training patients, on which it was stopped"
        fitted = _trained(self.params, views, budget, seed, watch, told)
        notes = tuple(one.replace(" on valid", " on the part left out") for one in fitted.record.notes)
        return replace(fitted, record=replace(fitted.record, patients=patients_of(train, valid), notes=notes))


def dealt(view: View, n_parts: int, seed: int) -> NDArray[np.int64]:
    """Return the part of each row: no patient is in two of them, and classes are spread as evenly as that allows.

    Raises:
        BadData: There are fewer than two patients.
    """
    patients, of_row = np.unique(patient_hashes(view.samples["patient"]).to_numpy(), return_inverse=True)
    n_parts = min(n_parts, len(patients))
    if n_parts < 2:
        raise BadData("one patient cannot be dealt into folds", remedy="use ensemble: instead of folds:")
    counts = np.zeros((len(patients), view.n_classes), dtype=np.int64)
    np.add.at(counts, (of_row, training_labels(view)), 1)
    equal, same = np.full(n_parts, 1 / n_parts), np.ones(n_parts, dtype=np.int64)
    return deal(counts, equal, seed=seeds.derive(seed, "folds of a committee"), priority=same)[of_row]


def _trained(
    params: CommitteeParams, views: Sequence[tuple[View, View]], budget: Budget, seed: int, watch: Watch, how: str
) -> FittedCommittee:
    """Return a member for each pair of training and valid view, each with an equal share of the budget."""
    member, share = families.build(params.member, params.of), shared(budget, len(views))
    fitted, told = list[Fitted](), Told(watch, len(views))
    for turn, (train, valid) in enumerate(views):
        fitted.append(member.fit(train, valid, share, seeds.derive(seed, "member", turn=turn), told.one))
        told.next_member()
    return FittedCommittee(_record(params.member, fitted, how), params.member, tuple(fitted))


def shared(budget: Budget, n_members: int) -> Budget:
    """Return what each of so many trainings may spend."""
    return budget.replaced(
        epochs=max(1, budget.epochs // n_members),
        cap_s=None if budget.cap_s is None else budget.cap_s / n_members,
    )


class Told:
    """Passes the members' epochs on as those of one long training."""

    def __init__(self, watch: Watch, n_members: int) -> None:
        self._watch, self._n_members = watch, n_members
        self._before, self._last = (0, 0.0), (0, 0.0)  # epochs and seconds

    def one(self, epoch: Epoch) -> None:
        """Pass one epoch on."""
        n_before, before_s = self._before
        self._last = n_before + epoch.epoch, before_s + epoch.time_s
        n_epochs = self._n_members * epoch.n_epochs
        self._watch(replace(epoch, epoch=self._last[0], n_epochs=n_epochs, time_s=self._last[1]))

    def next_member(self) -> None:
        """Count on from here."""
        self._before = self._last


def _record(family: str, members: Sequence[Fitted], how: str) -> FitRecord:
    records = [one.record for one in members]
    before_last = sum(one.epochs for one in records[:-1])
    return FitRecord(
        patients=records[0].patients,
        n_parameters=sum(one.n_parameters for one in records),
        epochs=before_last + records[-1].epochs,
        best_epoch=before_last + records[-1].best_epoch,
        truncated=any(one.truncated for one in records),
        notes=(f"mean of {len(records)} trainings of {family}, {how}", *_notes(records)),
        licences=records[0].licences,
        departures=tuple(
            one for at, record in enumerate(records, start=1) for one in record.departures_of(f"member {at}")
        ),
    )


def _notes(records: Sequence[FitRecord]) -> Iterator[str]:
    """Yield what is said of every member, and under its number what is said of some alone."""
    of_all = [note for note in records[0].notes if all(note in one.notes for one in records)]
    yield from of_all
    for at, record in enumerate(records, start=1):
        yield from (f"member {at}: {note}" for note in record.notes if note not in of_all)


def _alike(members: Sequence[Fitted], view: View) -> bool:
    """Return whether the members say the same of these images, which are none that they are tested on."""
    first, *others = (member.predict(replace(view, labels=None)) for member in members)
    return all(np.allclose(first, one, rtol=0, atol=1e-9) for one in others)


def _places(folder: Path, n_members: int) -> Iterable[Path]:
    return [folder / f"member-{turn}" for turn in range(n_members)]
