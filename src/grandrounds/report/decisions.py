"""The section on decisions: what thresholds, recalibration, sets of classes and abstaining give on the test role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report.blocks import Block, Cell, Column, Folded, Prose, Section, Table
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import interval, opened, share

_HOW = (
    "Every rule was set before the test role was looked at ({role}), and is counted there as it stands. Each trial has "
    "its own threshold; shown is their mean. Intervals rest on draws of their own: of a number that stands above as "
    "well their last digits may differ."
)
_CAPTIONS = {
    "ece": "How good the probabilities are, as stated and recalibrated",
    "log_loss": "How good they are where the classes have their declared shares",
    "coverage": "Sets of classes, and how often they hold the true one; every patient counts once",
    "decided": "Who is decided on, and what is right among these",
    "recall": "What is called from a threshold on",
    "precision_at_prevalence": "What that would be worth at the declared prevalence",
    "quadratic_kappa": "How near to the true grade the called one is",
    "accuracy": "How often the most probable class is right",
}
_WORDS = {
    "recall": "Sensitivity",
    "precision": "Positive predictive value",
    "set_size": "Classes in a set",
    "decided": "Share decided",
    "right_if_decided": "Right among the decided",
    "precision_at_prevalence": "PPV",  # short: three of them, and the caption says where, must fit a phone
    "npv_at_prevalence": "NPV",
    "accuracy_at_prevalence": "Accuracy",
}
_ELSEWHERE = "_at_prevalence"
_AS_MIXED = "Accuracy as test is mixed"  # beside the one at the declared prevalence, which may be far from it
_Rows = list[dict[str, Any]]


def decisions(ranked: Ranked) -> Section | None:
    """Return the rules of the family that ships (else of the leader), and those of the others folded."""
    frame = ranked.content.decisions
    present = [one for one in ranked.families if one in set(frame["family"])]
    if not present:
        return None
    first = ranked.content.ships if ranked.content.ships in present else present[0]
    others = [one for one in present if one != first]
    roles = frame["chosen_on"].drop_nulls().unique(maintain_order=True).to_list() or ["role unknown"]
    role = "; sets of classes on ".join(roles)
    blocks: list[Block] = [Prose((_HOW.format(role=f"on {role}"),)), *_tables(ranked, first)]
    blocks += [Folded(one, tuple(_tables(ranked, one))) for one in others]
    return Section("decisions", "What would be decided?", tuple(blocks))


def _tables(ranked: Ranked, family: str) -> Iterator[Table]:
    """Yield one table for each set of metrics, one row a rule."""
    rules: dict[tuple[object, ...], _Rows] = {}
    frame = ranked.content.decisions.filter(pl.col("family") == family)
    words = {"accuracy": _AS_MIXED} if "accuracy_at_prevalence" in frame["metric"] else {}
    for row in frame.iter_rows(named=True):
        # What holds elsewhere has a table of its own, or one would be too wide.
        rules.setdefault((row["rule"], row["label"], row["calibration"], _elsewhere(row)), []).append(row)
    alike: dict[tuple[str, ...], list[_Rows]] = {}
    for rows in rules.values():
        alike.setdefault(tuple(row["metric"] for row in rows), []).append(rows)
    for metrics, group in alike.items():
        heads = [words.get(name) or _words(name) for name in metrics]
        yield _table(f"{named(ranked, family).text}: {_caption(metrics)}.", heads, group)


def _caption(metrics: Sequence[str]) -> str:
    words = next((text for name, text in _CAPTIONS.items() if name in metrics), "What the rules give")
    return words[0].lower() + words[1:]


def _table(caption: str, heads: Sequence[str], rules: Sequence[_Rows]) -> Table:
    thresholds = any(rows[0]["threshold"] is not None and not _elsewhere(rows[0]) for rows in rules)
    noted = any(row["note"] for rows in rules for row in rows)
    columns = (
        Column("Rule", numeric=False), *([Column("Threshold", "set on other cases")] if thresholds else []),
        *(Column(name, "95 % interval") for name in heads),
        *([Column("Note", numeric=False)] if noted else []),
    )  # fmt: skip
    cells = tuple(
        (_head(rows[0]), *([_threshold(rows[0])] if thresholds else []),
         *(Cell(share(row["estimate"]), interval(row["low"], row["high"])) for row in rows),
         *([Cell(_notes(rows))] if noted else []))
        for rows in rules
    )  # fmt: skip
    return Table(caption, columns, cells)


def _elsewhere(row: dict[str, Any]) -> bool:
    """Return whether a row tells of the declared prevalence, in a table after the one that holds its threshold."""
    return str(row["metric"]).endswith(_ELSEWHERE)


def _head(row: dict[str, Any]) -> Cell:
    stated = row["calibration"] in (None, "none")
    label = f", {row['label']}" if row["label"] else ""
    return Cell(opened(row["rule"]) + label, "as stated" if stated else f"recalibrated: {row['calibration']}")


def _threshold(row: dict[str, Any]) -> Cell:
    return Cell(share(row["threshold"]) if row["threshold"] is not None else "")


def _notes(rows: _Rows) -> str:
    """Return each note once, with the metrics that it speaks of where not all have it."""
    who: dict[str, list[str]] = {}
    for row in rows:
        for note in (row["note"] or "").split(". "):
            who.setdefault(note, []).append(_words(row["metric"]))
    said = (note if len(names) == len(rows) else f"{', '.join(names)}: {note}" for note, names in who.items() if note)
    return ". ".join(said)


def _words(metric: str) -> str:
    if metric in _WORDS:
        return _WORDS[metric]
    return opened(METRICS.get(metric).label) if metric in METRICS.names() else opened(metric.replace("_", " "))
