"""A family at several learning rates, of which `valid` keeps one: tuning inside the fold, paid from its own budget."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from grandrounds import families
from grandrounds.families import recipes
from grandrounds.families.committee import Told, shared
from grandrounds.families.params_of_others import SweepParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import choose_by, labels_of
from grandrounds.specs import Spec


@dataclass(frozen=True, slots=True)
class SweepFamily:
    """The family whose learning rate is swept."""

    params: SweepParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> Fitted:
        """Return the member that is best on `valid`, each fitted with an equal share of the budget and the same seed.

        Raises:
            BadData: The images do not suit the member's family.
        """
        params = families.params_of(self.params.member, self.params.of)
        rates = self._rates(params)
        choice, told = choose_by(valid), Told(watch, len(rates))
        fitted, scores = list[Fitted](), list[float]()
        for rate in rates:
            member = families.build(self.params.member, recipes.over(self.params.of, _at(rate, params)))
            fitted.append(member.fit(train, valid, shared(budget, len(rates)), seed, told.one))
            scores.append(choice.metric(labels_of(valid), fitted[-1].predict(dataclasses.replace(valid, labels=None))))
            told.next_member()
        best = int(np.argmax(scores))
        tried = ", ".join(f"{rate:g}: {score:.3f}" for rate, score in zip(rates, scores, strict=True))
        note = f"learning rate {rates[best]:g} {choice.note} ({tried})"
        of_best: Any = fitted[best]  # every family of ours gives a frozen record
        kept: Fitted = dataclasses.replace(of_best, record=_record([one.record for one in fitted], best, note))
        return kept

    def _rates(self, params: Spec) -> list[float]:
        middle, own = (self.params.n_members - 1) / 2, _rate_of(params)
        powers = (turn - middle for turn in range(self.params.n_members))
        return [float(f"{own * self.params.factor**power:.3g}") for power in powers]


def _rate_of(params: Any) -> float:  # noqa: ANN401  (whatever family's)
    """Return the learning rate of a family, or of what it is made of."""
    return float(params.learning_rate) if hasattr(params, "learning_rate") else _rate_of(params.of_member)


def _at(rate: float, params: Any) -> dict[str, Any]:  # noqa: ANN401  (whatever family's)
    """Return the parameter that sets another learning rate, in the table where it belongs."""
    return {"learning_rate": rate} if hasattr(params, "learning_rate") else {"of": _at(rate, params.of_member)}


def _record(records: list[FitRecord], best: int, note: str) -> FitRecord:
    before = sum(one.epochs for one in records[:best])
    return dataclasses.replace(
        records[best],
        epochs=sum(one.epochs for one in records),
        best_epoch=before + records[best].best_epoch,
        truncated=any(one.truncated for one in records),
        notes=(records[best].notes[0], note, *records[best].notes[1:]),
    )
