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
from grandrounds.families.params_of_others import ModalitiesParams
from grandrounds.specs import parse
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
        params = recipe.params
        if isinstance(params, ModalitiesParams) and params.controls == "beside":
            found |= {one.family: one for one in _of(name, params.model_dump(), modalities(samples, params))}
    return found | dict(recipes)


def told(recipes: Mapping[str, Recipe], asked: Mapping[str, Recipe]) -> Iterator[str]:
    """Yield what was added, and how to do without."""
    if added := [name for name in recipes if name not in asked]:
        fused = " and ".join(name for name in asked if any(one.startswith(f"{name}@") for one in added))
        yield (
            f"{len(added)} controls run beside {fused}, each with a share of the budget: {', '.join(added)}. "
            'Without them: controls = "none" in the parameters of that family.'
        )


def _of(name: str, params: dict[str, Any], modalities: list[str]) -> Iterator[Recipe]:
    if len(modalities) < 2:
        return
    first, last = modalities[0], modalities[-1]
    for one in modalities:
        yield _recipe(f"{name}@only-{_label(one)}", params | {"only": [one]})
    beside = {"only": [first, last], "shuffled": last}
    yield _recipe(f"{name}@{_label(first)}-shuffled-{_label(last)}", params | beside)


def _recipe(name: str, params: dict[str, Any]) -> Recipe:
    return parse(Recipe, {"family": name, "params": params | {"controls": "self"}})


def _label(modality: str) -> str:
    return _NO_LABEL.sub("-", modality.lower())
