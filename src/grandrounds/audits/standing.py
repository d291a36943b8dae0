"""How the families stand on the primary metric: estimates and pairwise verdicts, whichever way round a pair is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from grandrounds.audits.protocol import AuditTables
from grandrounds.evaluate.catalogue import METRICS, MetricEntry
from grandrounds.evaluate.contrast import decisive, judged
from grandrounds.tables import COMPARISONS, empty


class Pair(NamedTuple):
    """How the first of two families differs from the second."""

    difference: float | None
    low: float | None
    high: float | None
    verdict: str


_MIRRORED = {"better": "worse", "worse": "better"}


@dataclass(frozen=True, slots=True)
class Standing:
    """The families on the primary metric.

    Args:
        metric: The metric.
        estimates: Family to value; families without one are left out.
        floors: Those families that are floors.
        pairs: Every comparison, both ways round; none where one family stands alone.
        unit: What was compared: samples, cases or patients.
        scores: Their scores on every metric, all cases together.
    """

    metric: MetricEntry
    estimates: Mapping[str, float]
    floors: tuple[str, ...]
    pairs: Mapping[tuple[str, str], Pair]
    unit: str
    scores: pl.DataFrame

    @property
    def contenders(self) -> tuple[str, ...]:
        """The families that are no floor, best first."""
        sign = -1 if self.metric.better == "higher" else 1
        names = [name for name in self.estimates if name not in self.floors]
        return tuple(sorted(names, key=lambda name: (sign * self.estimates[name], name)))

    def verdict(self, a: str, b: str) -> str:
        """Return the verdict of a against b; undecided where nobody compared them."""
        pair = self.pairs.get((a, b))
        return "undecided" if pair is None else pair.verdict


def standing(tables: AuditTables) -> Standing | None:
    """Return how the families stand, one alone too; None without scores or a value of the primary metric."""
    if tables.scores is None:
        return None
    compared = decisive(empty(COMPARISONS) if tables.comparisons is None else tables.comparisons)
    name = str(compared["metric"][0]) if compared.height else tables.primary
    if name is None or name not in METRICS.names():
        return None
    whole = judged(tables.scores, compared)
    rows = whole.filter(pl.col("metric") == name, pl.col("label").is_null(), pl.col("estimate").is_not_null())
    estimates = dict(rows.select("family", "estimate").iter_rows())
    floors = tuple(one for one in tables.floors if one in estimates)
    pairs = dict(_pairs(compared.filter(pl.col("metric") == name)))
    unit = str(whole["unit"].fill_null("sample")[0]) if whole.height else "sample"
    return Standing(METRICS.get(name), estimates, floors, pairs, unit, whole) if estimates else None


def paired(tables: AuditTables) -> Standing | None:
    """Return how the families stand where some were compared; None where nobody was."""
    stand = standing(tables)
    return stand if stand is not None and stand.pairs else None


def _pairs(compared: pl.DataFrame) -> Iterator[tuple[tuple[str, str], Pair]]:
    """Yield every comparison, both ways round."""
    columns = ("family_a", "family_b", "difference", "low", "high", "verdict")
    for a, b, difference, low, high, verdict in compared.select(columns).iter_rows():
        yield (a, b), Pair(difference, low, high, verdict)
        yield (b, a), Pair(_minus(difference), _minus(high), _minus(low), _MIRRORED.get(verdict, verdict))


def named(families: tuple[str, ...] | list[str]) -> str:
    """Return the names of families as one says them.

    >>> named(["a", "b", "c"])
    '`a`, `b` and `c`'
    """
    quoted = [f"`{family}`" for family in families]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}" if len(quoted) > 1 else "".join(quoted)


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value
