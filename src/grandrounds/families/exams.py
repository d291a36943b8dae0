"""Joint networks: the series of an exam become the channels of one image, which one network reads as a whole.

A pattern that no series shows alone can be learned so, and nowhere else: late fusion adds up what each series says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from grandrounds import families, seeds
from grandrounds.errors import BadData
from grandrounds.families import exam, state
from grandrounds.families.exam import Cases
from grandrounds.families.params_of_others import ExamsParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.stacked import stacked
from grandrounds.features.clinical import Column, encode, learn_columns
from grandrounds.shapes import Probs
from grandrounds.tables import OF_COLUMNS

_MEMBER = "member"
_SERIES = "n_series"  # the parameter of networks that tell series and flags apart
_COLUMNS = "n_columns"  # that of networks which read clinical columns besides


class Read(NamedTuple):
    """What of an exam a network reads.

    Args:
        series: What its channels are, in order; where there are none, columns alone are read.
        columns: Clinical columns, as training has learned them.
        dealt: Of a control, which series, or `"columns"`, is dealt out anew among the exams, and a seed for it.
    """

    series: tuple[str, ...]
    columns: tuple[Column, ...]
    dealt: tuple[str, int] | None = None

    def of(self, view: View) -> View:
        """Return the view of exams, one row each."""
        if not self.series:
            return exam.one_each(view)
        return stacked(view, self.series, self.columns, self.dealt)


@dataclass(frozen=True, slots=True)
class FittedExams:
    """A fitted network of exams.

    Args:
        kind: Its family.
        read: What it reads.
    """

    record: FitRecord
    kind: str
    read: Read
    member: Fitted

    @property
    def series(self) -> tuple[str, ...]:
        """What the series are called that it reads."""
        return self.read.series

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K), the same for every sample of a case.

        Raises:
            BadData: No sample shows a series that the model knows.
        """
        if self.series and not exam.kinds(view.samples).is_in(list(self.series)).any():
            raise exam.none_known(self.series)
        return self.member.predict(self.read.of(view))[Cases.of(view).place(view)]

    def save(self, folder: Path) -> None:
        """Write the network into a folder of its own."""
        columns = [column.model_dump(mode="json") for column in self.read.columns]
        content = {"kind": self.kind, "series": self.series, "columns": columns, "dealt": self.read.dealt}
        state.save(folder, self.record, content, {})
        (folder / _MEMBER).mkdir()
        self.member.save(folder / _MEMBER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        kind, columns = saved.content["kind"], tuple(Column(**one) for one in saved.content["columns"])
        dealt = saved.content.get("dealt")
        read = Read(tuple(saved.content["series"]), columns, dealt and tuple(dealt))
        return cls(saved.record, kind, read, families.load(kind, folder / _MEMBER))


@dataclass(frozen=True, slots=True)
class ExamsFamily:
    """The family of networks of exams that these parameters describe."""

    params: ExamsParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedExams:
        """Return the network fitted on the exams of `train`, each a row with all of its series.

        Raises:
            BadData: There is no such series, or the exams do not suit the network.
        """
        read = self._read(train)
        exams, watched = (
            read._replace(dealt=self._dealt(seed, role)).of(view) for role, view in (("train", train), ("valid", valid))
        )
        kind, of = (self.params.member, self._sized(train, read)) if read.series else (exam.READS_COLUMNS, {})
        member = families.build(kind, of).fit(exams, watched, budget, seed, watch)
        notes = (*self._notes(train, read), *member.record.notes)
        record = replace(member.record, patients=patients_of(train, valid), notes=notes)
        return FittedExams(record, kind, read._replace(dealt=self._dealt(seed, "asked")), member)

    def _read(self, train: View) -> Read:
        modalities = exam.modalities(train.samples, self.params)
        series = tuple(one for one in modalities if one != OF_COLUMNS)
        if not series and self.params.shuffled is not None:
            raise BadData("nothing is read beside the columns that are dealt out anew", remedy="name a series in only")
        return Read(series, learn_columns(train.samples) if OF_COLUMNS in modalities else ())

    def _dealt(self, seed: int, role: str) -> tuple[str, int] | None:
        return None if self.params.shuffled is None else (self.params.shuffled, seeds.derive(seed, role))

    def _sized(self, train: View, read: Read) -> dict[str, Any]:
        """Return the network's parameters with the numbers of series and columns, where it tells these apart."""
        spec, of = families.params_of(self.params.member, self.params.of), dict(self.params.of)
        if hasattr(spec, _SERIES):
            if train.pixels.shape[1] != 1:
                raise BadData("this network reads grey series, these have colours", remedy="add a step grayscale")
            of[_SERIES] = len(read.series)
        if read.columns:
            of[_COLUMNS] = encode(train.samples.head(1), read.columns).shape[1]
        return of

    def _notes(self, train: View, read: Read) -> Iterator[str]:
        names = ", ".join([*read.series, *(one.name for one in read.columns)])
        yield f"reads {names} of an exam as channels" if read.series else f"reads {names} of an exam alone"
        yield from exam.lacking(train, read.series)
        yield from (f"{found}: the first is read" for found in exam.repeated(train.samples, read.series))
        if self.params.shuffled is not None:
            yield f"a control: {self.params.shuffled} is dealt out anew among the exams"
