"""Recipes: the parameters that a family is run with unless a study says otherwise, one short TOML file each.

A file's head says where its values come from and what to expect of them. `resnet-18.toml` holds what `resnet-18` does
by default; `resnet-18@NAME.toml` holds another recipe of the same family, which a study may run beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from grandrounds import specs
from grandrounds.errors import BadSpec
from grandrounds.specs import Spec

_FOLDER = Path(__file__).parents[1] / "recipes"


class RecipeFile(Spec):
    """A recipe as a file holds it.

    Args:
        family: Name of the family; with `@NAME` behind it where this is not its default recipe.
        params: Its parameters, as far as they differ from those of the default recipe or of the network itself.
    """

    family: str
    params: dict[str, Any] = Field(default_factory=dict)


@cache
def shipped() -> Mapping[str, Path]:
    """Return the file of each recipe that comes with grandrounds, by the recipe's name, whose colon is `--` there."""
    return {path.stem.replace("--", ":"): path for path in sorted(_FOLDER.glob("*.toml"))}


def read(path: Path) -> RecipeFile:
    """Return the recipe in a TOML file.

    Raises:
        BadSpec: It holds no recipe.
    """
    return specs.read(RecipeFile, path)


def params(name: str) -> dict[str, Any]:
    """Return the parameters that the recipes of that name set: the family's own, and over them those of `@NAME`."""
    family = name.partition("@")[0]
    files = [shipped()[one] for one in dict.fromkeys((family, name)) if one in shipped()]
    found: dict[str, Any] = {}
    for file in files:
        found = over(found, read(file).params)
    return found


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with others laid over them, table by table.

    >>> over({"rate": 1, "teacher": {"width": 2, "rate": 3}}, {"teacher": {"width": 1}})
    {'rate': 1, 'teacher': {'width': 1, 'rate': 3}}
    """
    both = dict(below)
    for key, value in above.items():
        lower = both.get(key)
        nested = isinstance(value, Mapping) and isinstance(lower, Mapping)
        both[key] = over(lower, value) if nested else value  # type: ignore[arg-type]
    return both


def head(path: Path) -> dict[str, str]:
    """Return what the comments on top of a recipe say: `"recipe"` in its first line, then each `Word: …`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    said: dict[str, str] = {}
    key = "recipe"
    for line in lines:
        if not line.startswith("#"):
            break
        text = line.removeprefix("#")
        first, colon, rest = text.strip().partition(": ")
        if colon and not text.startswith("  ") and said:
            key, text = first.lower(), rest
        said[key] = f"{said.get(key, '')} {text.strip()}".strip()
    return said


def refuse_unknown(name: str) -> None:
    """Refuse a recipe that has a name of its own but no file here.

    Raises:
        BadSpec: There is no such recipe.
    """
    if "@" in name and name not in shipped():
        family = name.partition("@")[0]
        others = [one for one in shipped() if one.startswith(f"{family}@")]
        raise BadSpec(
            f"there is no recipe called {name!r}",
            remedy=f"choose one of: {', '.join((family, *others))}; or name a recipe's .toml file",
        )


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of parameters as tables in tables, where the dots of a name go from one into the next.

    >>> nested({"n_members": 5, "of.learning_rate": 0.001, "of.width": 0.5})
    {'n_members': 5, 'of': {'learning_rate': 0.001, 'width': 0.5}}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        found = over(found, {first: nested({rest: value}) if dot else value})
    return found
