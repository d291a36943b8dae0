"""One kind of registry for everything that has a name: formats, datasets, families, steps, metrics, audits.

Entries carry import *paths*, so that a list can be printed without importing what is listed. A package lists its
entries in a `catalogue.py` that one can read; other people's packages add theirs through entry points.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from grandrounds.errors import BadSpec, MissingExtra


class Entry(Protocol):
    """What a registry holds: a frozen record with a name."""

    @property
    def name(self) -> str:
        """The name that users type."""
        ...


E = TypeVar("E", bound=Entry)
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Registry(Generic[E]):
    """Named entries of one kind, in the order of the catalogue.

    Args:
        kind: What one entry is called in messages, for example `"family"`.
        entries: The entries that come with grandrounds.
        group: Entry-point group through which other packages add entries; None for none.
        prefixes: What names outside the catalogue may begin with, and `"module:function"` that makes the entry of
            such a name; they are not listed, since nobody knows them all.
        labelled: Whether `name@label` is the entry `name` under that other name, so that two of it can be told apart.
    """

    def __init__(
        self,
        kind: str,
        entries: Sequence[E],
        *,
        group: str | None = None,
        prefixes: Mapping[str, str] | None = None,
        labelled: bool = False,
    ) -> None:
        self.kind = kind
        self._entries = {entry.name: entry for entry in entries}
        self._group = group
        self._prefixes = dict(prefixes or {})
        self._labelled = labelled
        self._merged: dict[str, E] | None = None
        if len(self._entries) != len(entries):
            raise BadSpec(f"two entries of the {kind} registry share a name")

    def __iter__(self) -> Iterator[E]:
        return iter(self._all().values())

    def names(self) -> list[str]:
        """Return every name, in order."""
        return list(self._all())

    def get(self, name: str) -> E:
        """Return the entry of that name.

        Raises:
            BadSpec: No such name; the message lists the nearest ones.
        """
        entries = self._all()
        if name in entries:
            return entries[name]
        bare, at, label = name.rpartition("@")
        if self._labelled and at and _LABEL.fullmatch(label):
            labelled: E = dataclasses.replace(self.get(bare), name=name)  # type: ignore[type-var]
            return labelled
        for prefix, path in self._prefixes.items():
            if name.startswith(prefix):
                made: E = load(path)(name)
                return made
        raise BadSpec(
            f"there is no {self.kind} called {name!r}",
            remedy=nearest(name, list(entries)) or f"choose one of: {', '.join(entries)}",
        )

    def _all(self) -> dict[str, E]:
        if self._merged is None:  # asking the installed packages takes milliseconds, and readers ask for every image
            entries = dict(self._entries)
            for point in importlib.metadata.entry_points(group=self._group) if self._group else ():
                entry: E = point.load()
                if entry.name in self._entries:
                    raise BadSpec(f"the {self.kind} {entry.name!r} is defined twice", where=point.value)
                entries[entry.name] = entry
            self._merged = entries
        return self._merged


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return "did you mean …?" for a misspelt name, or None where nothing is near."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(repr(one) for one in close)}?" if close else None


def load(path: str, *, requires: Sequence[str] = (), extra: str = "models", wanted_by: str = "") -> Any:  # noqa: ANN401
    """Import and return the object at `"package.module:name"`.

    Raises:
        MissingExtra: One of the packages in `requires` is not installed.
    """
    absent = [package for package in requires if importlib.util.find_spec(package) is None]
    if absent:
        raise MissingExtra(
            f"{wanted_by or path} needs {', '.join(absent)}, which is not installed",
            remedy=f"pip install 'grandrounds[{extra}]'",
        )
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
