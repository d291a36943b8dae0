"""Fitted state on disk: numbers in one safetensors file, everything else in one JSON file, and nothing executable."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as packed

from grandrounds.errors import BadData
from grandrounds.families.protocol import FitRecord

_ARRAYS, _CONTENT = "fitted.safetensors", "fitted.json"
Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")


class State(NamedTuple):
    """What a fitted model is made of."""

    record: FitRecord
    content: dict[str, Any]
    arrays: Arrays


def save(folder: Path, record: FitRecord, content: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a fitted model into an existing folder."""
    # safetensors packs the buffer as it lies in memory, whatever its strides say; Python's own file writes it, since
    # only that says of a full disk that it is full.
    content_bytes = packed({name: np.ascontiguousarray(value) for name, value in arrays.items()})
    (folder / _ARRAYS).write_bytes(content_bytes)
    facts = dataclasses.asdict(record) | {"patients": sorted(record.patients)}
    text = json.dumps({"record": facts, "content": dict(content)}, indent=1, sort_keys=True)
    (folder / _CONTENT).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> State:
    """Return what `save` wrote.

    Raises:
        BadData: The folder does not hold a fitted model, or one of its files is damaged.
    """
    return _read(folder, lambda whole: State(_record(whole), whole["content"], load_file(folder / _ARRAYS)))


def record(folder: Path) -> FitRecord:
    """Return what fitting did, of a model that `save` wrote; its numbers are not read.

    Raises:
        BadData: The folder does not hold a fitted model, or its record is damaged.
    """
    return _read(folder, _record)


def _record(whole: Mapping[str, Any]) -> FitRecord:
    facts = whole["record"]
    facts.setdefault("departures", [])  # models of an earlier version have none
    facts |= {name: tuple(facts[name]) for name in ("notes", "licences", "departures")}
    return FitRecord(**facts | {"patients": frozenset(facts["patients"])})


def _read(folder: Path, taken: Callable[[dict[str, Any]], T]) -> T:
    try:
        return taken(json.loads((folder / _CONTENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BadData(
            f"this is not a fitted model, or it is damaged: {type(error).__name__}",
            where=folder,
            remedy="fit it again; what a run has finished is never half written",
        ) from None
