"""The floor of what is known without the image: logistic regression on clinical columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from grandrounds.errors import NotApplicable
from grandrounds.families import state
from grandrounds.families.params import MetadataParams
from grandrounds.families.protocol import Budget, FitRecord, View, Watch
from grandrounds.families.selection import patients_of
from grandrounds.families.softmax import Softmax, regress
from grandrounds.features.clinical import Column, encode, learn_columns
from grandrounds.shapes import Probs


@dataclass(frozen=True, slots=True)
class FittedMetadata:
    """A regression on clinical columns, with what training taught about them."""

    record: FitRecord
    columns: tuple[Column, ...]
    softmax: Softmax

    def predict(self, view: View) -> Probs:
        """Return probabilities (N, K); a column that the view lacks counts as missing in each row."""
        return self.softmax.probs(encode(view.samples, self.columns))

    def save(self, folder: Path) -> None:
        """Write the columns and the weights."""
        columns = [column.model_dump(mode="json") for column in self.columns]
        state.save(folder, self.record, {"columns": columns}, self.softmax.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote."""
        saved = state.load(folder)
        columns = tuple(Column(**one) for one in saved.content["columns"])
        return cls(saved.record, columns, Softmax.of(saved.arrays))


@dataclass(frozen=True, slots=True)
class MetadataFamily:
    """The family of the clinical columns."""

    params: MetadataParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> FittedMetadata:  # noqa: ARG002  (the contract's arguments)
        """Return the regression fitted on `train`, its penalty chosen on `valid`.

        Raises:
            NotApplicable: The samples came without clinical columns that vary.
        """
        columns = learn_columns(train.samples)
        if not columns:
            raise NotApplicable(
                "not applicable: no clinical columns",
                remedy="give columns such as age or sex in the table of images, if a floor without pixels is wanted",
            )
        fit = regress(
            train, valid, encode(train.samples, columns), encode(valid.samples, columns),
            penalties=self.params.penalties, imbalance=self.params.imbalance,
        )  # fmt: skip
        used = "reads the columns " + ", ".join(column.name for column in columns)
        n_parameters = fit.softmax.weights.size + fit.softmax.bias.size
        record = FitRecord(patients_of(train, valid), n_parameters, notes=(used, *fit.notes))
        return FittedMetadata(record, columns, fit.softmax)
