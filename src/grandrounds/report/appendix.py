"""The sections for who wants to know exactly: what the families said, the study, the versions, the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import polars as pl

from grandrounds.evaluate.catalogue import METRICS, positive_of
from grandrounds.report.blocks import Block, Cell, Column, Folded, Listing, Section, Table, Terms
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named


def family_notes(ranked: Ranked) -> Section | None:
    """Return what each family's trials came to and what they said."""
    trials = ranked.content.trials
    if trials.is_empty():
        return None
    rows = []
    for family in ranked.families:
        part = trials.filter(pl.col("family") == family)
        if not part.is_empty():
            rows.append((named(ranked, family), Cell(_outcome(part)), Cell(_said(part))))
    columns = tuple(Column(title, numeric=False) for title in ("Family", "Trials", "Notes"))
    caption = "What became of each family's trials: class imbalance, stops by the clock, failures."
    return Section("notes", "Notes on the families", (Table(caption, columns, tuple(rows)),))


def study(ranked: Ranked) -> Section | None:
    """Return the resolved study and all that is needed to redo it."""
    content = ranked.content
    record = {key: value for key, value in content.record.items() if key != "command"}
    blocks: list[Block] = []
    command = content.record.get("command")
    if command:
        blocks.append(Listing(str(command), "Command"))
    if record:
        rows = tuple((Cell(key), Cell(value)) for key, value in _flat(record))
        columns = (Column("What", numeric=False), Column("Value", numeric=False))
        blocks.append(
            Folded(
                "Versions, machine and fingerprints",
                (Table(f"Record of the {'run' if content.study_toml else 'judging'}.", columns, rows),),
            )
        )
    if content.study_toml:
        blocks.append(Folded("The resolved study", (Listing(content.study_toml, "Study, TOML"),)))
    return Section("study", "How to redo it", tuple(blocks)) if blocks else None


def words(ranked: Ranked) -> Section:
    """Return what the words of this page mean."""
    content = ranked.content
    shown = set(content.scores["metric"].to_list())
    entries = [
        (entry.label, f"{entry.summary}. {_better(entry.better)}{entry.reference}.")
        for entry in METRICS
        if entry.name in shown
    ]
    positive = positive_of(content.task)
    if positive:
        entries.append(("positive class", f"{positive}. Sensitivity and specificity on this page speak of it."))
    methods = content.scores["method"].drop_nulls().unique(maintain_order=True).to_list()
    made = f" Made by: {'; '.join(methods)}." if methods else ""
    conditional = "95 % unless said otherwise; conditional on the fitted models: another training would move them."
    entries += [
        ("interval", conditional + made),
        ("floor", "a family that looks at next to nothing; a useful one must beat it."),
        ("ships", "the family chosen on valid, never on test."),
        (
            "undefined",
            "there was nothing to compute it from, for example no image of that class; it is never set to 0.",
        ),
    ]
    return Section("words", "What the words mean", (Terms(tuple(entries)),))


def _better(which: str) -> str:
    return "" if which == "neither" else f"{which.capitalize()} is better. "


def _outcome(trials: pl.DataFrame) -> str:
    states = Counter(trials["status"].to_list())
    done = f"{states.pop('done', 0)} of {trials.height} done"
    return ", ".join([done, *(f"{n} {status}" for status, n in sorted(states.items()))])


def _said(trials: pl.DataFrame) -> str:
    """Return what the trials said, each part once, with how many said it where not all did."""
    notes = Counter(
        part.strip() for note in trials["note"].to_list() if note for part in dict.fromkeys(note.split(";"))
    )
    return "; ".join(
        note if n == trials.height else f"{note} ({n} of {trials.height} trials)" for note, n in notes.items()
    )


def _flat(record: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "not installed" if value is None else str(value)
