"""What people write into a table where nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

# "none" is no such word: it is the lowest of many grades.
_WORDS = frozenset({"", "?", "-", "na", "n/a", "n.a", "n.a.", "nan", "null", "unknown", "missing", "not known"})


def known(label: pl.Expr, classes: Sequence[str] | None = None) -> pl.Expr:
    """Return labels with null for whatever says that nobody knows.

    Args:
        label: Labels, or cells of any other column.
        classes: The classes that somebody has named: words that are meant, whatever they are; None where nobody has.
    """
    says_nothing = label.str.to_lowercase().is_in(list(_WORDS)) & ~label.is_in(list(classes or ()))
    return pl.when(~says_nothing).then(label)
