"""Late fusion: a model of each series of an exam, one of its clinical columns, and a regression that weighs them.

The regression learns from what members say of training patients whom they have not seen: the patients are dealt into
parts, and a member trained without a part speaks of it. Then each member is trained once more, on all of them. A case
that lacks a series keeps its place: that member is silent, which the regression is told.

Reference: logistic regression over planes: Bien et al., PLoS Med 2018;15:e1002699 (MRNet); words out of fold: Wolpert,
Stacked generalization, Neural Networks 1992;5:241.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from grandrounds import families, seeds
from grandrounds.errors import BadData
from grandrounds.families import exam, state
from grandrounds.families.committee import Told, dealt
from grandrounds.families.exam import Cases
from grandrounds.families.params_of_others import FusionParams
from grandrounds.families.protocol import Budget, Family, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.softmax import Softmax, regress
from grandrounds.shapes import Features, Probs
from grandrounds.tables import OF_COLUMNS
from grandrounds.wording import many

_Words = NDArray[np.float64]  # (cases, K), NaN where a member is silent


@dataclass(frozen=True, slots=True)
class FittedFusion:
    """Fitted members and the regression over what they say.

    Args:
        names: What each member reads: a series, or the clinical columns.
        kinds: The family of each.
        members: In the same order.
        softmax: The regression.
        neutral: (members, K) what stands for a member that is silent.
        dealt: Of a control, what is dealt out anew among whoever is asked about, too, and a seed for it; None of
            others. Otherwise the weight that it got by chance would tell, one way or the other.
    """

    record: FitRecord
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    members: tuple[Fitted, ...]
    softmax: Softmax
    neutral: NDArray[np.float64]
    dealt: tuple[str, int] | None = None

    @property
    def series(self) -> tuple[str, ...]:
        """What the series are called that its members read."""
        return tuple(name for name in self.names if name != OF_COLUMNS)

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K), the same for every sample of a case.

        Raises:
            BadData: No sample shows a series that the model knows.
        """
        cases = Cases.of(view)
        said = [
            _said(member, self._shown(view, name), cases) for name, member in zip(self.names, self.members, strict=True)
        ]
        if np.isnan(said).all():
            raise exam.none_known(self.names)
        return self.softmax.probs(_features(said, self.neutral))[cases.place(view)]

    def _shown(self, view: View, name: str) -> View:
        read = exam.of_modality(view, name)
        return read if self.dealt is None or name != self.dealt[0] else exam.dealt_out_anew(read, self.dealt[1])

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own, and the regression."""
        content = {"names": self.names, "kinds": self.kinds, "dealt": self.dealt}
        state.save(folder, self.record, content, self.softmax.arrays() | {"neutral": self.neutral})
        for turn, member in enumerate(self.members):
            place = _place(folder, turn)
            place.mkdir()
            member.save(place)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        names, kinds = tuple(saved.content["names"]), tuple(saved.content["kinds"])
        members = tuple(families.load(kind, _place(folder, turn)) for turn, kind in enumerate(kinds))
        dealt = saved.content.get("dealt")
        neutral = saved.arrays["neutral"]
        return cls(saved.record, names, kinds, members, Softmax.of(saved.arrays), neutral, dealt and tuple(dealt))


class _Modality(NamedTuple):
    """A series or the clinical columns: the family that reads it, and what it is trained on.

    Args:
        parts: (N,) the part of the training patients that each row belongs to.
    """

    name: str
    kind: str
    family: Family
    train: View
    valid: View
    parts: NDArray[np.int64]

    @property
    def is_enough(self) -> bool:
        """Whether a member can be trained without any one part: two classes are left, and `valid` has the series."""
        labels = self.train.labels
        left = (np.ones(0) if labels is None else labels[self.parts != part] for part in np.unique(self.parts))
        return bool(len(self.valid.samples)) and all(len(np.unique(one)) > 1 for one in left)


class _Spoken(NamedTuple):
    """What one member says of the cases of train, out of fold, and of valid; and the records of its trainings."""

    train: _Words
    valid: _Words
    member: Fitted
    records: tuple[FitRecord, ...]


@dataclass(frozen=True, slots=True)
class FusionFamily:
    """The family of fusions that these parameters describe."""

    params: FusionParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedFusion:
        """Return the members, each trained on all of `train`, and the regression over their words out of fold.

        All trainings of the members together make `budget.epochs` passes over the images.

        Raises:
            BadData: There is no such series, or none of which enough is known.
        """
        modalities, left_out = self._modalities(train, valid, seed)
        n_trainings = len(modalities) * (self.params.n_parts + 1)
        share = budget.replaced(
            epochs=max(1, budget.epochs // self.params.n_parts),
            cap_s=None if budget.cap_s is None else budget.cap_s / n_trainings,
        )
        told, cases = Told(watch, n_trainings), (Cases.of(train), Cases.of(valid))
        said = [
            _spoken(one, cases, share, seeds.derive(seed, "member", turn=k), told) for k, one in enumerate(modalities)
        ]
        neutral = np.stack([np.nanmean(one.train, axis=0) for one in said])
        weighed = regress(
            exam.one_each(train), exam.one_each(valid),
            _features([one.train for one in said], neutral), _features([one.valid for one in said], neutral),
            penalties=self.params.penalties, imbalance="none",
        )  # fmt: skip
        names = tuple(one.name for one in modalities)
        notes = (*self._notes(names, train), *weighed.notes)
        record = _record({one: some.records for one, some in zip(names, said, strict=True)}, weighed.softmax, notes)
        return FittedFusion(
            replace(record, patients=patients_of(train, valid), departures=(*left_out, *record.departures)),
            names, tuple(one.kind for one in modalities), tuple(one.member for one in said), weighed.softmax, neutral,
            None if self.params.shuffled is None else (self.params.shuffled, seeds.derive(seed, "asked")),
        )  # fmt: skip

    def _modalities(self, train: View, valid: View, seed: int) -> tuple[list[_Modality], tuple[str, ...]]:
        """Return what is read, in order, and a word on each series of which too little is known to train a member."""
        wanted = exam.modalities(train.samples, self.params)
        patients = train.samples["patient"]
        part_of = dict(zip(patients, dealt(train, self.params.n_parts, seed).tolist(), strict=True))
        made = [self._modality(name, train, valid, part_of, seed) for name in wanted]
        enough = [one for one in made if one.is_enough]
        if not enough:
            raise BadData(
                "of no series there are two classes in every inner fold of train, and one image in valid",
                remedy="give more cases, or fewer inner folds (n_parts)",
            )
        left_out = (
            f"{one.name} is left out: of its {many(len(one.train.samples), 'image')} in train and "
            f"{len(one.valid.samples)} in valid a member cannot be trained and judged in every inner fold"
            for one in made
            if not one.is_enough
        )
        return enough, tuple(left_out)

    def _modality(self, name: str, train: View, valid: View, part_of: dict[str, int], seed: int) -> _Modality:
        read, watched = exam.of_modality(train, name), exam.of_modality(valid, name)
        if name == self.params.shuffled:
            read = exam.dealt_out_anew(read, seeds.derive(seed, "train"))
            watched = exam.dealt_out_anew(watched, seeds.derive(seed, "valid"))
        kind = exam.READS_COLUMNS if name == OF_COLUMNS else self.params.member
        family = families.build(kind, {} if name == OF_COLUMNS else self.params.of)
        parts = np.array([part_of[patient] for patient in read.samples["patient"]], dtype=np.int64)
        return _Modality(name, kind, family, read, watched, parts)

    def _notes(self, names: Sequence[str], train: View) -> Iterator[str]:
        yield f"regression over what {', '.join(names)} say out of fold, in {self.params.n_parts} inner folds"
        yield from exam.lacking(train, names)
        if len(train.pixels.shape) == 5:  # planes of a case are many as a rule
            yield from (f"{found}: what is said of each is averaged" for found in exam.repeated(train.samples, names))
        if self.params.shuffled is not None:
            yield f"a control: {self.params.shuffled} is dealt out anew among the cases"


def _spoken(one: _Modality, cases: tuple[Cases, Cases], share: Budget, seed: int, told: Told) -> _Spoken:
    """Return what a member says of training cases that it has not seen, and the member trained on all."""
    words, records = np.full((len(cases[0].names), one.train.n_classes), np.nan), []
    for part in np.unique(one.parts):
        inside, outside = one.train.rows(one.parts != part), one.train.rows(one.parts == part)
        member = one.family.fit(inside, one.valid, share, seeds.derive(seed, "part", part=int(part)), told.one)
        told.next_member()
        spoken = _said(member, outside, cases[0])
        words = np.where(np.isnan(spoken), words, spoken)
        records.append(member.record)
    member = one.family.fit(one.train, one.valid, share, seeds.derive(seed, "all parts"), told.one)
    told.next_member()
    return _Spoken(words, _said(member, one.valid, cases[1]), member, (*records, member.record))


def _said(member: Fitted, view: View, cases: Cases) -> _Words:
    """Return what a member says of each case, (cases, K); NaN where the view shows nothing of it."""
    if view.samples.is_empty():
        return np.full((len(cases.names), view.n_classes), np.nan)
    return exam.evidence(member.predict(replace(view, labels=None)), cases.place(view), len(cases.names))


def _features(said: Sequence[_Words], neutral: NDArray[np.float64]) -> Features:
    """Return what the regression reads of each case: of each member K numbers, and whether it is silent."""
    blocks = []
    for words, silence in zip(said, neutral, strict=True):
        is_silent = np.isnan(words)
        blocks += [np.where(is_silent, silence, words), is_silent[:, :1]]
    return np.concatenate(blocks, axis=1).astype(np.float64)


def _record(trained: Mapping[str, Sequence[FitRecord]], softmax: Softmax, notes: tuple[str, ...]) -> FitRecord:
    """Return the record of all trainings; those of each modality end with the one that is kept."""
    kept = [records[-1] for records in trained.values()]
    every = [one for records in trained.values() for one in records]
    epochs = sum(one.epochs for one in every)
    return FitRecord(
        patients=frozenset(),
        n_parameters=sum(one.n_parameters for one in kept) + softmax.weights.size + softmax.bias.size,
        epochs=epochs,
        best_epoch=epochs - kept[-1].epochs + kept[-1].best_epoch,
        truncated=any(one.truncated for one in every),
        notes=(*notes, *kept[0].notes[:1]),
        departures=tuple(
            one for name, records in trained.items() for record in records for one in record.departures_of(name)
        ),
        licences=tuple(dict.fromkeys(licence for one in kept for licence in one.licences)),
    )


def _place(folder: Path, turn: int) -> Path:
    return folder / f"member-{turn}"
