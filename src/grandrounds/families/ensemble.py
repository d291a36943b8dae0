"""Several fitted models as one: what ships after cross-validation is the ensemble of the folds' models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families.protocol import FitRecord, Fitted, View
from grandrounds.shapes import Probs

_CONTENT = "ensemble.json"


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members of one family whose probabilities are averaged.

    Args:
        family: Name of the family in the registry.
        members: One fitted model per fold and seed.
    """

    family: str
    members: tuple[Fitted, ...]

    @property
    def record(self) -> FitRecord:
        """What fitting all members did; its patients are everyone that any member saw."""
        records = [member.record for member in self.members]
        return FitRecord(
            patients=frozenset().union(*(record.patients for record in records)),
            n_parameters=sum(record.n_parameters for record in records),
            epochs=sum(record.epochs for record in records),
            truncated=any(record.truncated for record in records),
            notes=(f"mean of the probabilities of {len(records)} models, one per fold and seed",),
        )

    def predict(self, view: View) -> Probs:
        """Return the mean of the members' probabilities, (N, K)."""
        probs: Probs = np.mean([member.predict(view) for member in self.members], axis=0)
        return probs

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own."""
        for number, member in enumerate(self.members):
            place = folder / f"member_{number:02d}"
            place.mkdir()
            member.save(place)
        content = {"family": self.family, "n_members": len(self.members)}
        (folder / _CONTENT).write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote.

        Raises:
            BadData: The folder does not hold an ensemble.
        """
        try:
            content = json.loads((folder / _CONTENT).read_text(encoding="utf-8"))
            name, n_members = content["family"], content["n_members"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadData(f"this is not an ensemble: {type(error).__name__}", where=folder) from None
        members = tuple(families.load(name, folder / f"member_{number:02d}") for number in range(n_members))
        return cls(name, members)


def ensemble(family: str, members: Sequence[Fitted]) -> Ensemble:
    """Return the ensemble of these models of one family.

    Raises:
        BadData: There are none.
    """
    if not members:
        raise BadData("an ensemble needs at least one fitted model", where=family)
    return Ensemble(family, tuple(members))
