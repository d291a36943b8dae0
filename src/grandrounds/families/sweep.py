"""A family at several learning rates, of which `valid` keeps one: tuning inside the fold, paid from its own budget."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grandrounds import families
from grandrounds.errors import Diverged
from grandrounds.families import recipes
from grandrounds.families.committee import Told, shared
from grandrounds.families.params_of_others import SweepParams
from grandrounds.families.protocol import Budget, FitRecord, Fitted, View, Watch
from grandrounds.families.selection import choose_by, labels_of
from grandrounds.specs import Spec


class _Tried(NamedTuple):
    """One learning rate: what was trained at it and what `valid` gives for that, or why nothing could be."""

    rate: float
    given: Fitted | Diverged
    score: float = -math.inf

    @property
    def said(self) -> str:
        return "the loss was no number" if isinstance(self.given, Diverged) else f"{self.score:.3f}"


@dataclass(frozen=True, slots=True)
class SweepFamily:
    """The family whose learning rate is swept."""

    params: SweepParams

    def fit(self, train: View, valid: View, budget: Budget, seed: int, watch: Watch) -> Fitted:
        """Return the member that is best on `valid`, each fitted with an equal share of the budget and the same seed.

        A rate at which nothing can be trained is told of, and the others go on.

        Raises:
            BadData: The images do not suit the member's family.
            Diverged: Nothing could be trained at any of the rates.
        """
        params = families.params_of(self.params.member, self.params.of)
        rates = self._rates(params)
        choice, told, tried = choose_by(valid), Told(watch, len(rates)), list[_Tried]()
        for rate in rates:
            member = families.build(self.params.member, recipes.over(self.params.of, _at(rate, params)))
            try:
                fitted = member.fit(train, valid, shared(budget, len(rates)), seed, told.one)
            except Diverged as error:
                tried.append(_Tried(rate, error))
            else:
                score = choice.metric(labels_of(valid), fitted.predict(dataclasses.replace(valid, labels=None)))
                tried.append(_Tried(rate, fitted, score))
            told.next_member()
        return _best(tried, choice.note)

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


def _best(tried: Sequence[_Tried], chosen: str) -> Fitted:
    """Return the best of what could be trained, with a note on every rate."""
    best = max(tried, key=lambda one: one.score)
    if isinstance(best.given, Diverged):
        raise best.given
    told = ", ".join(f"{one.rate:g}: {one.said}" for one in tried)
    note = f"learning rate {best.rate:g} {chosen} ({told})"
    records = {one.rate: one.given.record for one in tried if not isinstance(one.given, Diverged)}
    record = _record(list(records.values()), list(records).index(best.rate), note)
    of_best: Any = best.given  # every family of ours gives a frozen record
    kept: Fitted = dataclasses.replace(of_best, record=record)
    return kept


def _record(records: list[FitRecord], best: int, note: str) -> FitRecord:
    before = sum(one.epochs for one in records[:best])
    return dataclasses.replace(
        records[best],
        epochs=sum(one.epochs for one in records),
        best_epoch=before + records[best].best_epoch,
        truncated=any(one.truncated for one in records),
        notes=(records[best].notes[0], note, *records[best].notes[1:]),
    )
