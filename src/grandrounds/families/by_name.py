"""Families whose name says what they are made of: `timm:resnet10t`, `ensemble:li2014`, `slices:resnet-18`."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from grandrounds import registry
from grandrounds.errors import BadSpec
from grandrounds.families import FAMILIES, recipes
from grandrounds.families.params_of_monai import MONAI
from grandrounds.families.prefixed import PREFIXED
from grandrounds.families.protocol import FamilyEntry

_OF_A_FAMILY = ("ensemble", "folds", "sweep", "fusion", "exams")
_OF_PLANES = ("slices", "transmed", "joint")
_OF_VOLUMES = "monai"
_OF_TASKS = "multitask"
_READS = ("sample", "case")
_NETWORK = next(one.fitted for one in PREFIXED if one.name.startswith("slices:"))
_DEFINED = re.compile(r"^@register_model\b.*?^def (\w+)", re.MULTILINE | re.DOTALL)


def entry(name: str) -> FamilyEntry:
    """Return the family of that name; where a library is missing, only building it says so.

    Raises:
        BadSpec: There is no such network or family; the message lists the nearest ones.
    """
    library, _, model = name.partition(":")
    if library in _OF_A_FAMILY:
        return _of_members(name, library, model)
    if library == _OF_TASKS:
        return _of_tasks(name, model)
    if library in _OF_PLANES:
        return _of_planes(name, library, model)
    pattern = next(one for one in PREFIXED if one.name.startswith(f"{library}:"))
    found = dataclasses.replace(pattern, name=name, defaults=(("model", model),))
    if model in _written(library) or (library != _OF_VOLUMES and importlib.util.find_spec(library) is None):
        return found
    known = _names(library, pattern.requires)
    if model in known:
        return found
    raise BadSpec(
        f"{library} has no network called {model!r}",
        remedy=registry.nearest(model, known)
        or (
            f"choose one of: {', '.join(MONAI)}"
            if library == _OF_VOLUMES
            else f"choose a name that {library}.list_models() gives"
        ),
    )


def _names(library: str, requires: Sequence[str]) -> Sequence[str]:
    """Return every network of a library, which has the last word, also on a tag of weights; asking it imports torch."""
    if library == _OF_VOLUMES:
        return list(MONAI)
    names: Callable[[str], list[str]] = registry.load("grandrounds.families.zoo:names", requires=requires)
    return names(library)


def _of_members(name: str, kind: str, family: str) -> FamilyEntry:
    """Return the committee or the sweep of a family, which reads what its members read."""
    pattern = next(one for one in PREFIXED if one.name.startswith(f"{kind}:"))
    member = FAMILIES.get(family)
    if kind == "sweep" and not member.iterates:
        raise BadSpec(
            f"{family} has no learning rate to sweep; it chooses its settings on valid itself",
            remedy=f"choose {family} itself",
        )
    return dataclasses.replace(
        pattern, name=name, defaults=(("member", family),), requires=member.requires, iterates=member.iterates,
        fitted=pattern.fitted or member.fitted,
        reads=max(pattern.reads, member.reads, key=_READS.index), smallest_px=member.smallest_px, dims=member.dims,
        learns_several=member.learns_several,
    )  # fmt: skip


def _of_planes(name: str, kind: str, network: str) -> FamilyEntry:
    """Return the family that reads the slices of volumes with a network of planes."""
    pattern = next(one for one in PREFIXED if one.name.startswith(f"{kind}:"))
    member = FAMILIES.get(network)
    if member.fitted != pattern.fitted or 2 not in member.dims:
        raise BadSpec(
            f"{network} is no network of planes that could read slices", remedy=f"name one, as {kind}:resnet-18"
        )
    return dataclasses.replace(
        pattern, name=name, defaults=(("member", network),), requires=member.requires, smallest_px=member.smallest_px
    )


def _of_tasks(name: str, network: str) -> FamilyEntry:
    """Return the family of a network, or of one that reads exams, that learns all tasks of a study at once."""
    pattern = next(one for one in PREFIXED if one.name.startswith(f"{_OF_TASKS}:"))
    member = FAMILIES.get(network)
    if FAMILIES.get(network.removeprefix("exams:")).fitted != _NETWORK:
        raise BadSpec(
            f"{network} is no network that could have an output for each task",
            remedy=f"name one, as {_OF_TASKS}:resnet-18",
        )
    return dataclasses.replace(
        member, name=name, kind=pattern.kind, summary=pattern.summary, learns_several=True,
        reference=f"{pattern.reference}; {member.reference}",
        defaults=tuple(recipes.over(dict(member.defaults), recipes.params(network)).items()),
    )  # fmt: skip


@cache
def _written(library: str) -> frozenset[str]:
    """Return the networks that a library's source registers: read, not imported, which would take seconds."""
    if library == _OF_VOLUMES:
        return frozenset(MONAI)
    spec = importlib.util.find_spec(library)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in (Path(folder) / "models").glob("*.py")]
    return frozenset(name for path in files for name in _DEFINED.findall(path.read_text(encoding="utf-8")))
