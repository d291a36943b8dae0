"""Slices of the data: which samples share a site, a scanner, a sex, a band of age, a size.

Columns are recognised by their name; others can be named. Numbers are cut into bands: ages at the usual limits,
anything else into thirds of the judged samples. A value that is missing is a slice, too: whoever lacks a record may
differ.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.errors import BadSpec

UNKNOWN = "unknown"
MOST_VALUES = 20  # a column of words with more names somebody, or is free text
_AGES = (18, 40, 60, 75)  # limits of the bands, in years
_THIRDS = (1 / 3, 2 / 3)
_RECOGNISED: Mapping[str, str] = MappingProxyType(
    {
        "site": r"site|cent(er|re)|hospital|institution",
        "scanner": r"scanner|manufacturer(_?s?_?model(_?name)?)?|device|vendor|kernel",
        "sex": r"sex|gender",
        "age": r"age(_?years?)?",
        "size": r"(.*_)?(size|diameter|volume|area|width_px|height_px)(_(mm|cm|mm2|ml|mm3|px))?",
    }
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Samples that share a value.

    Args:
        column: Of which column.
        value: In words.
        samples: Their names.
    """

    column: str
    value: str
    samples: frozenset[str]

    @property
    def name(self) -> str:
        """How the tables call it."""
        return f"{self.column}: {self.value}"


def slices(facts: pl.DataFrame, named: Sequence[str] = ()) -> list[Slice]:
    """Return the slices of the judged samples; a column with one value gives none.

    Args:
        facts: One row a sample: `sample` and the columns.
        named: Further columns to slice by.

    Raises:
        BadSpec: There is no column of that name.
    """
    absent = [name for name in named if name not in facts.columns]
    if absent:
        raise BadSpec(
            f"there is no column {absent[0]!r} to slice by", remedy=f"there are: {', '.join(sorted(_further(facts)))}"
        )
    chosen = dict.fromkeys((*_recognised(facts), *named))
    return [one for column in chosen for one in _of_column(facts, column)]


def _further(facts: pl.DataFrame) -> set[str]:
    return {name for name in facts.columns if not name.startswith(tables.PROB)} - {"sample", "label"}


def _recognised(facts: pl.DataFrame) -> Iterator[str]:
    for pattern in _RECOGNISED.values():
        yield from (name for name in facts.columns if re.fullmatch(pattern, name.strip().lower().replace(" ", "_")))


def _of_column(facts: pl.DataFrame, column: str) -> Iterator[Slice]:
    values = facts.select("sample", value=_in_bands(facts[column]).fill_null(UNKNOWN))
    known = values.filter(pl.col("value") != UNKNOWN)["value"].n_unique()
    if not 2 <= known <= MOST_VALUES and not (known == 1 and values["value"].n_unique() == 2):
        return
    for (value,), part in values.group_by("value", maintain_order=True):
        yield Slice(column, str(value), frozenset(part["sample"]))


def _in_bands(values: pl.Series) -> pl.Series:
    """Return the values as words: as they are, or as bands of numbers."""
    is_age = re.fullmatch(_RECOGNISED["age"], values.name.strip().lower().replace(" ", "_")) is not None
    numbers = _numbers(values, is_age=is_age)
    if numbers is None:
        return values.cast(pl.String).str.strip_chars().replace("", None)
    if is_age:
        return _banded(numbers, list(_AGES))
    known = numbers.drop_nulls()
    if known.n_unique() <= 5:  # few numbers are codes
        return known_words(numbers)
    return _banded(numbers, sorted({float(one) for one in np.quantile(known.to_numpy(), _THIRDS)}))


def known_words(numbers: pl.Series) -> pl.Series:
    """Return numbers as words, whole ones without a decimal point."""
    return pl.Series(numbers.name, [None if one is None else f"{one:g}" for one in numbers], dtype=pl.String)


def _numbers(values: pl.Series, *, is_age: bool) -> pl.Series | None:
    """Return a column as numbers where each of its values is one; ages of DICOM such as 045Y too."""
    if values.dtype == pl.String and is_age:
        values = values.str.strip_chars().str.replace(r"^(\d{3})Y$", "$1")
    if not (values.dtype.is_numeric() or values.dtype == pl.String):
        return None
    text = values.cast(pl.String).str.strip_chars().replace("", None)
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() > text.null_count() or numbers.null_count() == len(numbers):
        return None
    return numbers.fill_nan(None)


def _banded(numbers: pl.Series, limits: list[float]) -> pl.Series:
    """Return in which band each number lies; a limit belongs to the band above it."""
    words = [f"{low:g} to below {high:g}" for low, high in itertools.pairwise(limits)]
    words = [f"below {limits[0]:g}", *words, f"{limits[-1]:g} and above"]
    place = np.searchsorted(np.array(limits), numbers.fill_null(0).to_numpy(), side="right")
    found = pl.Series(numbers.name, [words[at] for at in place], dtype=pl.String)
    return found.zip_with(numbers.is_not_null(), pl.Series([None], dtype=pl.String).new_from_index(0, len(found)))
