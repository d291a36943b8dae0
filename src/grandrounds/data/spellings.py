"""Labels that differ in upper and lower case or in blanks alone: one class, unless somebody names them as several."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import polars as pl

from grandrounds.data.draft import Draft


def with_one_spelling(draft: Draft) -> Draft:
    """Return the draft with one spelling of each class, and a note where there were several.

    It is the one among the named classes, where they are named, else the most frequent. A label that is itself among
    the named classes stays, so that naming both keeps them apart.
    """
    if "label" not in draft.rows.columns:
        return draft
    counts = Counter[str](draft.rows["label"].drop_nulls().cast(pl.String()).to_list())
    ours = _spellings(counts, draft.classes or ())
    if all(label == one for label, one in ours.items()):
        return draft
    rows = draft.rows.with_columns(pl.col("label").replace(ours))
    positive = draft.positive if draft.positive is None else ours.get(draft.positive, draft.positive)
    return replace(draft, rows=rows, positive=positive, notes=(*draft.notes, *_notes(ours, counts)))


def _spellings(counts: Mapping[str, int], named: Collection[str]) -> dict[str, str]:
    """Return each label's spelling that stands."""
    by_frequency = sorted(counts, key=lambda label: (-counts[label], label))
    likest = {plain(label): _tidy(label) for label in reversed(by_frequency)}
    likest |= {key: labels[0] for key, labels in _alike(named).items() if len(labels) == 1}
    return {label: label if label in named else likest[plain(label)] for label in counts}


def _alike(labels: Iterable[str]) -> dict[str, list[str]]:
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(plain(label), []).append(label)
    return alike


def _notes(ours: Mapping[str, str], counts: Mapping[str, int]) -> Iterable[str]:
    """Yield a sentence on each class whose spelling in the data is not the one that stands, or not the only one."""
    for one in sorted(set(ours.values())):
        others = [label for label in sorted(ours) if ours[label] == one != label]
        if others:
            told = ", ".join(f"{label!r} ({counts[label]:,})" for label in others)
            stands = f"{one!r} ({counts[one]:,})" if one in counts else repr(one)
            yield (
                f"The label {told} is taken for {stands}: they differ in upper and lower case or in blanks alone. "
                "Naming every class with --classes keeps them apart."
            )


def _tidy(label: str) -> str:
    return " ".join(unicodedata.normalize("NFC", label).split())


def plain(label: str) -> str:
    """Return what is left of a label without regard to case and blanks."""
    return _tidy(label).casefold()
