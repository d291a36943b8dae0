"""What a page that is passed on does not tell: the folders in which somebody's data lie."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import PureWindowsPath
from typing import Any, Final

import tomlkit

_NAMING_FILES: Final = ("source", "labels", "context", "masks", "weights")  # keys of a study
_ADDRESS = "://"


def without_folders(study_toml: str) -> str:
    """Return a study with the last part of every path alone; as it is where it keeps names."""
    document = tomlkit.parse(study_toml)
    if not document["data"].get("names"):
        _shorten(document)
    return tomlkit.dumps(document)


def _shorten(table: MutableMapping[str, Any]) -> None:
    for key, value in table.items():
        if key in _NAMING_FILES and isinstance(value, str):
            table[key] = _last_part(value)
        elif key in _NAMING_FILES and isinstance(value, list):
            table[key] = [_last_part(one) for one in value]
        elif isinstance(value, MutableMapping):
            _shorten(value)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, MutableMapping):
                    _shorten(one)


def _last_part(path: str) -> str:
    r"""Return the last part of a path of any system; what is no path, or an address, as it is.

    >>> _last_part("/ward/labels.csv"), _last_part("C:\\ward\\x"), _last_part("hrct"), _last_part("https://a/b")
    ('…/labels.csv', '…/x', 'hrct', 'https://a/b')
    """
    name = PureWindowsPath(path).name  # it knows both separators
    return path if name == path or _ADDRESS in path else f"…/{name}"
