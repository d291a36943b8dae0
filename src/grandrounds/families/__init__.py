"""Families of image classifiers: listed, built from plain parameters, and loaded from a folder.

Nothing heavy is imported until a family is built or loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grandrounds import registry
from grandrounds.errors import BadData
from grandrounds.families import recipes, state
from grandrounds.families.catalogue import CATALOGUE
from grandrounds.families.prefixed import PREFIXED
from grandrounds.families.protocol import Family, FamilyEntry, FitRecord, Fitted
from grandrounds.registry import Registry
from grandrounds.specs import Spec, parse

FAMILIES: Registry[FamilyEntry] = Registry(
    "family",
    CATALOGUE,
    group="grandrounds.families",
    prefixes={one.name.partition("<")[0]: "grandrounds.families.by_name:entry" for one in PREFIXED},
    labelled=True,
)


def params_spec(name: str) -> type[Spec]:
    """Return the class of a family's parameters; each field has a default."""
    entry = FAMILIES.get(name)
    spec: type[Spec] = registry.load(entry.params, requires=entry.requires, wanted_by=name)
    return spec


def params_of(name: str, params: Mapping[str, Any] | None = None) -> Spec:
    """Return the parameters of a family: those given, over its recipe, over what makes it this family.

    Raises:
        BadSpec: There is no such family or parameter, or a value is out of range.
    """
    own = recipes.over(dict(FAMILIES.get(name).defaults), recipes.params(name))
    return parse(params_spec(name), recipes.over(own, params or {}), where=f"family {name}")


def build(name: str, params: Mapping[str, Any] | None = None) -> Family:
    """Return the family of that name with these parameters.

    Raises:
        BadSpec: There is no such family or parameter, or a value is out of range.
        MissingExtra: It needs packages that are not installed.
    """
    entry = FAMILIES.get(name)
    spec = params_of(name, params)
    family: Family = registry.load(entry.build, requires=entry.requires, wanted_by=name)(spec)
    return family


def load(name: str, folder: Path) -> Fitted:
    """Return the fitted model that a family of that name saved in `folder`.

    Raises:
        BadData: The folder does not hold such a model.
        MissingExtra: It needs packages that are not installed.
    """
    entry = FAMILIES.get(name)
    fitted: Fitted = registry.load(entry.fitted, requires=entry.requires, wanted_by=name).load(folder)
    return fitted


def record(name: str, folder: Path) -> FitRecord:
    """Return what fitting did, of the model that a family of that name saved in `folder`.

    Raises:
        BadData: The folder does not hold such a model.
        MissingExtra: It needs packages that are not installed.
    """
    try:
        return state.record(folder)
    except BadData:  # a family of another package keeps its models as it likes
        return load(name, folder).record


def fitted_hash(folder: Path) -> str:
    """Return a hash of everything that a fitted model saved: the names and bytes of its files."""
    content = hashlib.blake2b(digest_size=16)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        content.update(path.relative_to(folder).as_posix().encode() + b"\0")
        content.update(hashlib.blake2b(path.read_bytes()).digest())
    return content.hexdigest()
