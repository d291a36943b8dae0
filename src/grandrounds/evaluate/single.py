"""One column of probabilities for two classes: of which class it is, and what that leaves for the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import polars as pl

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate.columns import WANTED
from grandrounds.tables import PROB
from grandrounds.wording import many

# What programs call the probability of the class that was to be found, where they do not say which that is.
UNNAMED = ("prob", "probability", "score")
# Words for a class that was not found, and for the one that was; of other pairs nobody knows which is meant.
_YES = {"0": "1", "0.0": "1.0", "false": "true", "no": "yes", "negative": "positive", "absent": "present"}


class Completed(NamedTuple):
    """The rows of a file with a column for each class, and how that came, where there was one column."""

    frame: pl.DataFrame
    said: tuple[str, ...] = ()


def completed(frame: pl.DataFrame, positive: str | None) -> Completed:
    """Return the rows with the other class's probability, where there are two classes and one was given.

    The class that was given stands last: it is the one that was to be found, so it is positive.

    Args:
        frame: The rows of a file.
        positive: The positive class that was asked for; None where nobody did.
    """
    given, labels = tables.classes_of(frame), _labels(frame)
    column = f"{PROB}{given[0]}" if given else _unnamed(frame)
    own = given[0] if given else _found(labels, positive)
    if len(given) > 1 or len(labels) != 2 or column is None or own not in labels:
        return Completed(frame)
    [other] = labels - {own}
    complement = 1 - pl.col(column).cast(pl.Float64, strict=False)
    said = f"The column {column} was taken for the probability of {own}; that of {other} is what it leaves to 1."
    both = complement.alias(f"{PROB}{other}"), pl.col(column).alias(f"{PROB}{own}")
    return Completed(frame.select(pl.exclude(column), *both), (said,))


def refuse(frame: pl.DataFrame, path: Path, theirs: Mapping[str, str]) -> NoReturn:
    """Raise BadData of a file whose columns do not give a probability for each class, with what settles it.

    Args:
        frame: Its rows, with fewer than two columns of probabilities.
        path: Where they stand.
        theirs: What the file calls columns that were named, by our name.
    """
    given, labels = tables.classes_of(frame), sorted(_labels(frame))
    candidates = [name for name in UNNAMED if name in frame.columns]
    columns = [theirs.get(f"{PROB}{name}", f"{PROB}{name}") for name in given] or candidates
    if len(labels) != 2 or not columns:
        n = many(len(given), "probability column", "are")
        raise BadData(f"{n} too few", where=path, remedy=f"wanted: {WANTED}")
    flags = " or ".join(f"--prob {label}={column}" for column in columns for label in reversed(labels))
    if len(columns) > 1:
        what = f"{', '.join(columns)} could each be the probability"
    elif given:
        what = f"{columns[0]} is the only probability, and no label is {given[0]}"
    else:
        what = f"it is not known of which class {columns[0]} is the probability"
    raise BadData(what, where=path, remedy=f"say it with {flags}")


def _labels(frame: pl.DataFrame) -> set[str]:
    return set(frame["label"].drop_nulls().cast(pl.String).str.strip_chars())


def _unnamed(frame: pl.DataFrame) -> str | None:
    """Return the one column that can only be a probability; None where there is none, or something else speaks."""
    found = [name for name in UNNAMED if name in frame.columns]
    return found[0] if len(found) == 1 and not {"rating", "decision"} & {*frame.columns} else None


def _found(labels: set[str], positive: str | None) -> str | None:
    """Return the class that was to be found, where the labels say so and `positive` does not contradict."""
    words = {label.casefold(): label for label in labels}
    found = next((words[yes] for no, yes in _YES.items() if words.keys() == {no, yes}), None)
    return None if positive in labels - {found} else found
