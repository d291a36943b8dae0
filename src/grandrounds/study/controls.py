"""Controls beside every fusion, late or joint: each modality alone, and one that is dealt out anew beside another.

What a fusion gains, it has to gain over the best of its modalities alone; and a modality that says nothing, because it
was dealt out anew among the cases, must gain nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from grandrounds.families.exam import modalities
from grandrounds.families.params_of_others import MemberParams, ModalitiesParams, fusing
from grandrounds.specs import Spec, parse
from grandrounds.study.spec import Recipe

_NO_LABEL = re.compile(r"[^a-z0-9._-]+")


def with_controls(recipes: Mapping[str, Recipe], samples: pl.DataFrame) -> dict[str, Recipe]:
    """Return the recipes with controls behind each fusion that asks for them; those that are there already stay.

    Args:
        recipes: What is to run, by name.
        samples: Table `samples`: which series there are, and whether clinical columns.
    """
    found: dict[str, Recipe] = {}
    for name, recipe in recipes.items():
        found[name] = recipe
        fusion = fusing(recipe.params)
        if fusion is not None and fusion.controls == "beside" and fusion.shuffled is None:
            found |= {one.family: one for one in _of(name, recipe.params, modalities(samples, fusion))}
    return found | dict(recipes)


def told(recipes: Mapping[str, Recipe], asked: Mapping[str, Recipe]) -> Iterator[str]:
    """Yield what was added, and how to do without."""
    if added := [name for name in recipes if name not in asked]:
        fused = " and ".join(dict.fromkeys(one.rpartition("@")[0] for one in added))
        yield (
            f"{len(added)} controls run beside {fused}, each with a share of the budget: {', '.join(added)}. "
            'Without them: controls = "none" in the parameters of that family.'
        )


def _of(name: str, params: Spec, modalities: list[str]) -> Iterator[Recipe]:
    if len(modalities) < 2:
        return
    labels = _labels(modalities)
    for one in modalities:
        yield _recipe(f"{name}@only-{labels[one]}", params, only=[one])
    first, last = modalities[0], modalities[-1]
    yield _recipe(f"{name}@{labels[first]}-shuffled-{labels[last]}", params, only=[first, last], shuffled=last)


def _recipe(name: str, params: Spec, **read: Any) -> Recipe:  # noqa: ANN401  (fields of parameters)
    return parse(Recipe, {"family": name, "params": _changed(params, read | {"controls": "self"})})


def _changed(params: Spec, fields: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with those of the fusion changed, which in a committee are its members'."""
    if isinstance(params, MemberParams) and not isinstance(params, ModalitiesParams):
        return params.model_dump() | {"of": _changed(params.of_member, fields)}
    return params.model_dump() | fields


def _labels(modalities: list[str]) -> dict[str, str]:
    """Return what each modality is called in a family's name, no two alike.

    >>> _labels(["T1 a", "T1-a", "columns"])
    {'T1 a': 't1-a', 'T1-a': 't1-a-2', 'columns': 'columns'}
    """
    labels: dict[str, str] = {}
    for one in modalities:
        label = _NO_LABEL.sub("-", one.lower())
        n_alike = sum(_NO_LABEL.sub("-", other.lower()) == label for other in labels)
        labels[one] = f"{label}-{n_alike + 1}" if n_alike else label
    return labels
