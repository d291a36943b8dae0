"""A committee: several trainings of one family that differ by their seed alone, and decide by their mean probability.

Reference: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty estimation using deep
ensembles, NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from grandrounds import families, seeds
from grandrounds.families import state
from grandrounds.families.ensemble import mean_probs
from grandrounds.families.params import CommitteeParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.shapes import Probs
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
        n_members = self.params.n_members
        member = families.build(self.params.member)
        share = shared(budget, n_members)
        fitted: list[Fitted] = []
        told = Told(watch, n_members)
        for turn in range(n_members):
            fitted.append(member.fit(train, valid, share, seeds.derive(seed, "member", turn=turn), told.one))
            told.next_member()
        return FittedCommittee(_record(self.params.member, fitted), self.params.member, tuple(fitted))


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


def _record(family: str, members: Sequence[Fitted]) -> FitRecord:
    records = [one.record for one in members]
    before_last = sum(one.epochs for one in records[:-1])
    return FitRecord(
        patients=records[0].patients,
        n_parameters=sum(one.n_parameters for one in records),
        epochs=before_last + records[-1].epochs,
        best_epoch=before_last + records[-1].best_epoch,
        truncated=any(one.truncated for one in records),
        notes=(f"mean of {len(records)} trainings of {family}, each with a seed of its own", *records[0].notes),
        licences=records[0].licences,
    )


def _places(folder: Path, n_members: int) -> Iterable[Path]:
    return [folder / f"member-{turn}" for turn in range(n_members)]
