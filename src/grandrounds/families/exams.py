"""Joint networks: the series of an exam become the channels of one image, which one network reads as a whole.

A pattern that no series shows alone can be learned so, and nowhere else: late fusion adds up what each series says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families import exam, state
from grandrounds.families.exam import Cases
from grandrounds.families.params_of_others import ExamsParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.stacked import stacked
from grandrounds.features.clinical import Column, encode, learn_columns
from grandrounds.shapes import Probs

_MEMBER = "member"
_SERIES = "n_series"  # the parameter of networks that tell series and flags apart
_COLUMNS = "n_columns"  # that of networks which read clinical columns besides


@dataclass(frozen=True, slots=True)
class FittedExams:
    """A fitted network of exams.

    Args:
        kind: Its family.
        series: What its channels are, in order.
        columns: Clinical columns that it reads besides.
    """

    record: FitRecord
    kind: str
    series: tuple[str, ...]
    columns: tuple[Column, ...]
    member: Fitted

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K), the same for every sample of a case.

        Raises:
            BadData: No sample shows a series that the model knows.
        """
        if not exam.kinds(view).is_in(list(self.series)).any():
            raise exam.none_known(self.series)
        return self.member.predict(stacked(view, self.series, self.columns))[Cases.of(view).place(view)]

    def save(self, folder: Path) -> None:
        """Write the network into a folder of its own."""
        columns = [column.model_dump(mode="json") for column in self.columns]
        state.save(folder, self.record, {"kind": self.kind, "series": self.series, "columns": columns}, {})
        (folder / _MEMBER).mkdir()
        self.member.save(folder / _MEMBER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        kind, series = saved.content["kind"], tuple(saved.content["series"])
        columns = tuple(Column(**one) for one in saved.content["columns"])
        return cls(saved.record, kind, series, columns, families.load(kind, folder / _MEMBER))


@dataclass(frozen=True, slots=True)
class ExamsFamily:
    """The family of networks of exams that these parameters describe."""

    params: ExamsParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedExams:
        """Return the network fitted on the exams of `train`, each a row with all of its series.

        Raises:
            BadData: There is no such series, or the exams do not suit the network.
        """
        there = exam.kinds(train).unique().sort().to_list()
        series = there if self.params.only is None else list(self.params.only)
        if absent := [one for one in series if one not in there]:
            raise BadData(f"no series is called {absent[0]!r}", remedy=f"name one of: {', '.join(there)}")
        spec, of = families.params_of(self.params.member, self.params.of), dict(self.params.of)
        columns = learn_columns(train.samples) if hasattr(spec, _COLUMNS) else ()
        exams, watched = (stacked(view, series, columns) for view in (train, valid))
        if hasattr(spec, _SERIES):
            if train.pixels.shape[1] != 1:
                raise BadData("this network reads grey series, these have colours", remedy="add a step grayscale")
            of[_SERIES] = len(series)
        if columns:
            of[_COLUMNS] = encode(train.samples.head(1), columns).shape[1]
        member = families.build(self.params.member, of).fit(exams, watched, budget, seed, watch)
        record = replace(
            member.record,
            patients=patients_of(train, valid),
            notes=(
                f"reads {', '.join([*series, *(one.name for one in columns)])} of an exam as channels",
                *exam.lacking(train, series),
                *(f"{found}: the first is read" for found in exam.repeated(train.samples, series)),
                *member.record.notes,
            ),
        )
        return FittedExams(record, self.params.member, tuple(series), columns, member)
