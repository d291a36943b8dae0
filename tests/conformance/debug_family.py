"""A family that misbehaves on purpose, in each way that somebody else's family may."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grandrounds.families.protocol import FitRecord
from grandrounds.specs import Spec


class DebugParams(Spec):
    """What goes wrong."""

    wrong: Literal["nothing", "fails", "hangs", "returns NaN", "drops rows", "adds a class", "sums to two"] = "nothing"


@dataclass(frozen=True)
class FittedDebug:
    """A model that learned nothing."""

    record: FitRecord
    wrong: str

    def predict(self, view):
        """Return even probabilities, or what is wrong."""
        probs = np.full((len(view.pixels), view.n_classes), 1 / view.n_classes)
        if self.wrong == "returns NaN":
            probs[0] = np.nan
        if self.wrong == "adds a class":
            probs = np.full((len(view.pixels), view.n_classes + 1), 1 / (view.n_classes + 1))
        if self.wrong == "sums to two":
            probs = 2 * probs
        return probs[1:] if self.wrong == "drops rows" else probs

    def save(self, folder):
        """Write next to nothing."""
        (folder / "fitted.json").write_text("{}", encoding="utf-8")


@dataclass(frozen=True)
class DebugFamily:
    """The family that misbehaves."""

    params: DebugParams

    def fit(self, train, valid, budget, seed, watch):
        """Return a model that learned nothing, or go wrong."""
        if self.params.wrong == "fails":
            raise ZeroDivisionError("on purpose")
        if self.params.wrong == "hangs":
            for _ in range(6000):
                time.sleep(0.01)
        return FittedDebug(FitRecord(train.patients | valid.patients, n_parameters=1), self.params.wrong)
