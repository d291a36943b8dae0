"""What a page that is passed on does not tell: the folders in which somebody's data lie."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

import tomlkit

from grandrounds.wording import is_rooted, last_part

_NAMING_FILES: Final = ("source", "labels", "context", "masks", "weights")  # keys of a study


def without_folders(study_toml: str) -> str:
    """Return a study with the last part of every path alone; as it is where it keeps names."""
    document = tomlkit.parse(study_toml)
    if not document["data"].get("names"):
        _shorten(document)
    return tomlkit.dumps(document)


def _shorten(table: MutableMapping[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, str) and (key in _NAMING_FILES or is_rooted(value)):
            table[key] = last_part(value)
        elif key in _NAMING_FILES and isinstance(value, list):
            table[key] = [last_part(one) if isinstance(one, str) else one for one in value]
        elif isinstance(value, MutableMapping):
            _shorten(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, MutableMapping):
                    _shorten(one)
