"""Labels that differ in upper and lower case, blanks or Unicode form alone, or are one number: one class.

Somebody who names every class says that they are several.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from grandrounds.data.draft import Draft

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_WHOLE = re.compile(r"^([+-]?\d+)\.0*$")  # as programs write a column of whole numbers with gaps


@dataclass(frozen=True, slots=True)
class Spelling:
    """Which spelling of each class stands.

    Args:
        of: Each label of the data with the one that stands for it.
        notes: What was taken for what.
    """

    of: Mapping[str, str]
    notes: tuple[str, ...]

    def laid_on(self, labels: pl.DataFrame) -> pl.DataFrame:
        """Return a table with the spelling that stands in its column `label`."""
        return labels.with_columns(pl.col("label").replace(dict(self.of))) if self.notes else labels

    def of_named(self, label: str | None) -> str | None:
        """Return how a class is spelt that somebody has named; as it was named where the data know none like it."""
        if label is None or label in self.of:
            return label if label is None else self.of[label]
        tidy = _tidier(self.of)
        alike = sorted({one for one in self.of.values() if plain(tidy(one)) == plain(tidy(label))})
        return alike[0] if len(alike) == 1 else label


def spelling(labels: pl.Series, named: Collection[str] | None) -> Spelling:
    """Return one spelling of each class: the one among the named classes, or the most frequent.

    A label that is itself among the named classes stays, so that naming both keeps them apart.

    Args:
        labels: As they occur, null where nobody knows.
        named: The classes that somebody has named; None where nobody has.
    """
    counts = Counter[str](labels.drop_nulls().cast(pl.String()).to_list())
    ours = _spellings(counts, named or ())
    return Spelling(ours, tuple(_notes(ours, counts)))


def with_one_spelling(draft: Draft) -> Draft:
    """Return the draft with one spelling of each class, and a note where there were several."""
    if "label" not in draft.rows.columns:
        return draft
    found = spelling(draft.rows["label"], draft.classes)
    notes = (*draft.notes, *found.notes)
    return replace(draft, rows=found.laid_on(draft.rows), positive=found.of_named(draft.positive), notes=notes)


def _spellings(counts: Mapping[str, int], named: Collection[str]) -> dict[str, str]:
    """Return each label's spelling that stands."""
    tidy = _tidier(counts)
    by_frequency = sorted(counts, key=lambda label: (-counts[label], label))
    likest = {plain(tidy(label)): tidy(label) for label in reversed(by_frequency)}
    likest |= {key: labels[0] for key, labels in _alike(named, tidy).items() if len(labels) == 1}
    return {label: label if label in named else likest[plain(tidy(label))] for label in counts}


def _alike(labels: Iterable[str], tidy: Callable[[str], str]) -> dict[str, list[str]]:
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(plain(tidy(label)), []).append(label)
    return alike


def _notes(ours: Mapping[str, str], counts: Mapping[str, int]) -> Iterable[str]:
    """Yield a sentence on each class whose spelling in the data is not the one that stands, or not the only one."""
    for one in sorted(set(ours.values())):
        others = [label for label in sorted(ours) if ours[label] == one != label]
        if others:
            told = ", ".join(f"{label!r} ({counts[label]:,})" for label in others)
            stands = f"{one!r} ({counts[one]:,})" if one in counts else repr(one)
            alone = all(plain(label) == plain(one) for label in others)
            why = "differ in upper and lower case, in blanks or in Unicode form alone" if alone else "are one number"
            yield (
                f"The label {told} is taken for {stands}: they {why}. "
                "Naming every class with --classes keeps them apart."
            )


def _tidier(labels: Collection[str]) -> Callable[[str], str]:
    """Return what tidies a label; where all are numbers, a whole one is written without a point, as 1 for 1.0."""
    if all(_NUMBER.fullmatch(_tidy(label)) for label in labels):
        return lambda label: _WHOLE.sub(r"\1", _tidy(label))
    return _tidy


def _tidy(label: str) -> str:
    return " ".join(unicodedata.normalize("NFC", label).split())


def plain(label: str) -> str:
    """Return what is left of a label without regard to case and blanks."""
    return _tidy(label).casefold()
