"""The errors that grandrounds raises on purpose.

Every one says what happened, where, and what to do about it; the command line prints that and exits with 1.
Messages name files and samples, never the value of a patient's attribute.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})  # what all of a study would meet


class Refusal(Exception):  # noqa: N818  (a refusal is an answer, not a malfunction)
    """Something was refused; `str()` of it is the message for the user.

    Args:
        what: One sentence: what is wrong.
        where: The file, sample, key or command concerned; None where the sentence says it.
        remedy: What the user can do about it.
    """

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(what, self.where, remedy)

    def __reduce__(self) -> tuple[Callable[..., Refusal], tuple[object, ...]]:
        # Worker processes send their refusals home.
        return _rebuild, (type(self), self.what, self.where, self.remedy)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:      {self.where}")
        if self.remedy:
            lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)

    @property
    def in_one_line(self) -> str:
        """What is wrong, and what to do about it."""
        return f"{self.what}; what to do: {self.remedy}" if self.remedy else self.what


def _rebuild(kind: type[Refusal], what: str, where: str | None, remedy: str | None) -> Refusal:
    return kind(what, where=where, remedy=remedy)


class BadData(Refusal):
    """An image, label or table cannot be used as it is."""


class Diverged(BadData):
    """A training's loss was no number from the beginning, so that there is nothing to keep."""


class BadSpec(Refusal):
    """A study, option or name cannot be understood."""


class Leak(Refusal):
    """A patient would stand on two sides of a split, or learned state would meet the test role."""


class NotApplicable(Refusal):
    """A family has nothing to read here, for example no clinical columns; the study says so and goes on."""


class MissingExtra(Refusal):
    """A part of grandrounds needs packages that are not installed."""


class StoreTrouble(Refusal):
    """The run folder cannot be read or written."""
