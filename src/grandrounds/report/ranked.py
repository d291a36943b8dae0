"""The content with its families in order: what every section asks before it shows anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import polars as pl

from grandrounds.evaluate.catalogue import METRICS, spoken
from grandrounds.evaluate.contrast import decisive, judged
from grandrounds.report.content import ReportContent
from grandrounds.report.palette import Look, looks
from grandrounds.report.rounding import NOT_APPLICABLE, known, listed, share


class Score(NamedTuple):
    """One value with its interval; nulls where undefined, and then `note` says why."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    note: str | None = None


class Difference(NamedTuple):
    """How the first of two families differs from the second on the primary metric."""

    difference: float | None
    low: float | None
    high: float | None
    p_adjusted: float | None
    verdict: str


_NUMBERS = ("scores", "comparisons", "intervals", "curves", "trials", "history", "decisions", "suspects", "readers")
_MIRRORED = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class Ranked:
    """Content, families best first on the primary metric (those without a value last), and their looks.

    Args:
        content: What is reported.
        families: Every family with a score or a trial.
        unit: What the scores count, `"sample"`, `"case"` or `"patient"`.
    """

    content: ReportContent
    families: tuple[str, ...]
    unit: str

    @classmethod
    def of(cls, content: ReportContent) -> Self:
        """Return the content with its families in order; a NaN in a table is a null from here on."""
        content = replace(content, **{name: getattr(content, name).fill_nan(None) for name in _NUMBERS})
        scores = content.scores
        units = judged(scores, content.comparisons)["unit"].drop_nulls()
        unit = str(units[0]) if len(units) else "sample"
        names = pl.concat([scores["family"], content.trials["family"]]).unique(maintain_order=True).to_list()
        ranked = cls(content, tuple(names), unit)
        sign = -1 if METRICS.get(content.primary).better == "higher" else 1

        def key(family: str) -> tuple[bool, float, str]:
            value = ranked.score(family, content.primary).estimate
            return (not known(value), sign * (value or 0.0), family)

        return cls(content, tuple(sorted(names, key=key)), unit)

    @cached_property
    def looks(self) -> Mapping[str, Look]:
        """The look of each family; by name, so that a new ranking does not repaint the page."""
        return looks(sorted(self.families), self.content.floors)

    @cached_property
    def _scores(self) -> dict[tuple[str, str, str | None], Score]:
        frame = self.content.scores.filter(
            pl.col("slice").fill_null("all") == "all",
            pl.col("unit").fill_null(self.unit) == self.unit,
            pl.col("task").fill_null(self.content.task.name) == self.content.task.name,
        )
        rows = frame.select("family", "metric", "label", "estimate", "low", "high", "note").iter_rows()
        return {(family, metric, label): Score(*values) for family, metric, label, *values in rows}

    @cached_property
    def _differences(self) -> dict[tuple[str, str], Difference]:
        frame = decisive(self.content.comparisons).filter(pl.col("metric") == self.content.primary)
        columns = ("family_a", "family_b", "difference", "low", "high", "p_adjusted", "verdict")
        return {(a, b): Difference(*rest) for a, b, *rest in frame.select(columns).iter_rows()}

    @property
    def scored(self) -> tuple[str, ...]:
        """The families with a value of the primary metric."""
        return tuple(one for one in self.families if known(self.score(one, self.content.primary).estimate))

    @property
    def leader(self) -> str | None:
        """The family with the best value of the primary metric; None where there is none."""
        return self.scored[0] if self.scored else None

    @property
    def scheme(self) -> str:
        """How cases were divided, as a study says it; empty where nobody knows."""
        spec = self.content.split_record.get("spec")
        return str(spec.get("scheme", "")) if isinstance(spec, Mapping) else ""

    @property
    def tested_on(self) -> str:
        """What the scores are counted on: the test role, unless the official one stayed closed."""
        return "folds inside the official train and valid" if self.scheme == "inside" else "the test role"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the task's order."""
        return self.content.task.classes

    def value(self, family: str, metric: str) -> str:
        """Return a value as the reader sees it: a number, or why there is none."""
        return share(self.score(family, metric).estimate) if self.applies(family) else NOT_APPLICABLE

    def applies(self, family: str) -> bool:
        """Return whether the family had something to read in any trial."""
        return family not in self._not_applicable

    @cached_property
    def _not_applicable(self) -> frozenset[str]:
        """The families that had nothing to read in any trial."""
        unread = pl.col("status").eq("not applicable").all().alias("unread")
        said = self.content.trials.group_by("family").agg(unread).filter("unread")
        return frozenset(said["family"])

    def score(self, family: str, metric: str, label: str | None = None) -> Score:
        """Return one value; an empty one where nobody computed it."""
        return self._scores.get((family, metric, label), Score())

    def has(self, metric: str, *, by_class: bool = False) -> bool:
        """Return whether the scores hold that metric at all."""
        return any(name == metric and (label is not None) == by_class for _, name, label in self._scores)

    def versus(self, a: str, b: str) -> Difference | None:
        """Return how `a` differs from `b`, whichever way round the table has them."""
        if (a, b) in self._differences:
            return self._differences[a, b]
        other = self._differences.get((b, a))
        if other is None:
            return None
        verdict = _MIRRORED.get(other.verdict, other.verdict)
        low, high = _negative(other.high), _negative(other.low)
        return Difference(_negative(other.difference), low, high, other.p_adjusted, verdict)

    def words(self, metric: str, label: str | None = None) -> str:
        """Return what a metric is called in a sentence."""
        return spoken(METRICS.get(metric), self.content.task, label)

    def reasons(self, metrics: Iterable[str], *, by_class: bool = False) -> tuple[str, ...]:
        """Return why values of these metrics are undefined, fully or in some folds; one sentence a reason."""
        wanted = set(metrics)
        who: dict[tuple[str, str], list[str]] = {}
        for (family, metric, label), score in self._scores.items():
            if metric in wanted and (label is not None) == by_class and (score.note or not known(score.estimate)):
                reason = score.note or "undefined, and nobody recorded why"
                who.setdefault((self.words(metric, label), reason), []).append(family)
        return tuple(f"{words} ({listed(names)}): {reason}." for (words, reason), names in who.items())


def _negative(value: float | None) -> float | None:
    return None if value is None else 0.0 - value
