"""What tuning tries: values or ranges of a family's parameters, all combinations of them or a random few."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grandrounds import families, seeds
from grandrounds.errors import BadSpec
from grandrounds.families.params_of_others import MemberParams
from grandrounds.families.recipes import nested, over
from grandrounds.specs import Spec

Values = dict[str, Any]
PLACE = "recipe"  # column: which of those that were tried, from 0; a table may spell a number otherwise
_FROM_FACTOR = 10  # a range over so many times its lower end is drawn from evenly by its logarithm


@dataclass(frozen=True, slots=True)
class Between:
    """A range of numbers, ends included; whole ones where both ends are."""

    low: float
    high: float

    def drawn(self, random: np.random.Generator) -> float:
        """Return one number; one that is not whole has two digits, in a narrow range two that differ in it."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        logarithmic = self.low > 0 and self.high / self.low >= _FROM_FACTOR
        low, high = (self.low - 0.5, self.high + 0.5) if whole else (self.low, self.high)  # as many for the ends
        number = math.exp(random.uniform(math.log(low), math.log(high))) if logarithmic else random.uniform(low, high)
        if whole:
            return min(max(round(number), self.low), self.high)
        return min(max(float(f"{number:.{self._n_digits(number)}g}"), self.low), self.high)

    def _n_digits(self, number: float) -> int:
        """Return with how many digits two of them tell numbers of this range apart."""
        length = self.high - self.low
        return 2 if not number or not length else max(2, 2 + _exponent(number) - _exponent(length))


def _exponent(number: float) -> int:
    return math.floor(math.log10(abs(number)))


Space = Mapping[str, Sequence[Any] | Between]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is to be compared, and how thoroughly.

    Args:
        family: Name of the family.
        base: Its parameters but for what is tried.
        tried: What differs from them, one a recipe; `of.learning_rate` is what stands in the table `of`.
        usual: Place among them of the recipe that the others are held against; None for none.
        primary: The metric that decides, on `valid`.
        margin: Differences within this much count as equal.
        seeds: How often each recipe is trained on each fold.
        seed: Root of all randomness.
        folds: On how many folds.
        across: Into how many folds train and valid of the first fold are dealt anew, so that each of their cases is
            scored once; None: `valid` is scored as it is.
        halving: Whether a third of the passes with one seed first decides which third is trained in full.
    """

    family: str
    base: Spec
    tried: Sequence[Values]
    usual: int | None = None
    primary: str = "auc"
    margin: float = 0.02
    seeds: int = 3
    seed: int = 0
    folds: int = 1
    across: int | None = None
    halving: bool = True

    def params(self, values: Values) -> Spec:
        """Return the parameters of the recipe that differs from the others in these values."""
        return laid_over(self.family, self.base, values)


def laid_over(family: str, base: Spec, values: Values) -> Spec:
    """Return a family's parameters with values laid over them, whose names may have dots.

    Raises:
        BadSpec: There is no such parameter, or a value is out of range.
    """
    return families.params_of(family, over(base.model_dump(), nested(values)))


def space_of(given: Sequence[str]) -> Space:
    """Return the space that texts such as `learning_rate=1e-3,3e-3` and `weight_decay=1e-4..1e-1` describe.

    Raises:
        BadSpec: A text cannot be read.

    >>> space_of(["batch_size=16,32", "optimiser=sgd", "learning_rate=1e-4..1e-2"])
    {'batch_size': [16, 32], 'optimiser': ['sgd'], 'learning_rate': Between(low=0.0001, high=0.01)}
    """
    found: dict[str, Sequence[Any] | Between] = {}
    for text in given:
        name, _, values = (part.strip() for part in text.partition("="))
        if not name or not values:
            raise BadSpec(f"{text!r} is not name=values", remedy="for example: --set learning_rate=1e-3,3e-3")
        low, dots, high = values.partition("..")
        if dots:
            found[name] = _between(text, *_values(low), *_values(high))
        else:
            found[name] = _values(values)
    return found


def value_in(params: Spec | Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return what a name with dots stands for among parameters; None where it is not said.

    >>> value_in({"of": {"learning_rate": 0.001}}, "of.learning_rate")
    0.001
    """
    first, dot, rest = name.partition(".")
    said = params.model_dump(mode="json") if isinstance(params, Spec) else params
    found = said.get(first)
    if dot and first == "of" and "member" in said:  # it holds only what is no default of that family
        return value_in(families.params_of(said["member"], found), rest)
    if not dot:
        return found
    return value_in(found, rest) if isinstance(found, Mapping) else None


def usual(family: str, params: Spec) -> Space:
    """Return the space that pays first: learning rate, weight decay and batch size about what the recipe has.

    Of a family that is made of another one, these are that one's.

    Raises:
        BadSpec: The family has none of them, since it chooses its settings itself.
    """
    if isinstance(params, MemberParams):
        return {f"of.{name}": values for name, values in usual(params.member, params.of_member).items()}
    if not hasattr(params, "learning_rate"):
        raise BadSpec(
            f"{family} chooses its settings on valid itself, so there is nothing to try",
            remedy="name parameters and values with --set",
        )
    rate, batch = float(params.learning_rate), int(params.batch_size)  # type: ignore[attr-defined]
    return {
        "learning_rate": [float(f"{rate * factor:.2g}") for factor in (0.3, 1, 3)],
        "weight_decay": [0.0, 0.05, 0.5],
        "batch_size": [max(2, batch // 2), batch, 2 * batch],
    }


def candidates(space: Space, n_random: int | None, seed: int) -> list[Values]:
    """Return every combination, or `n_random` different ones; nothing but different ones in any case.

    Raises:
        BadSpec: A range was given, of which there is no every value.
    """
    if n_random is None:
        combinations = itertools.product(*_listed(space).values())
        return _different([dict(zip(space, one, strict=True)) for one in combinations])
    random = seeds.generator(seed, "tuning candidates")
    drawn = [{name: _drawn(values, random) for name, values in space.items()} for _ in range(20 * n_random)]
    return _different(drawn)[:n_random]


def one_by_one(space: Space) -> list[Values]:
    """Return recipes of which each departs from the usual one in a single value.

    Raises:
        BadSpec: A range was given, of which there is no every value.
    """
    return _different([{name: value} for name, values in _listed(space).items() for value in values])


def shared(space: Space) -> Values:
    """Return the values that all combinations have in common; none where there is one combination alone."""
    single = {name: values[0] for name, values in space.items() if not isinstance(values, Between) and len(values) == 1}
    return single if len(single) < len(space) else {}


def with_usual(tried: Sequence[Values], usual: Values, built: Callable[[Values], Spec]) -> tuple[list[Values], int]:
    """Return what is tried, the usual recipe among it, and the place of that one.

    Args:
        tried: What differs from the parameters of the family.
        usual: Of the usual recipe; set in front where none that is tried is the same.
        built: The parameters of a family with these values.
    """
    own = built(usual)
    place = next((place for place, values in enumerate(tried) if built(values) == own), None)
    return ([usual, *tried], 0) if place is None else (list(tried), place)


def _listed(space: Space) -> dict[str, Sequence[Any]]:
    ranges = [name for name, values in space.items() if isinstance(values, Between)]
    if ranges:
        raise BadSpec(f"{', '.join(ranges)}: of a range only some values can be tried", remedy="add --random 20")
    return {name: values for name, values in space.items() if not isinstance(values, Between)}


def _drawn(values: Sequence[Any] | Between, random: np.random.Generator) -> Any:  # noqa: ANN401
    return values.drawn(random) if isinstance(values, Between) else values[int(random.integers(len(values)))]


def _different(drawn: Sequence[Values]) -> list[Values]:
    return [one for place, one in enumerate(drawn) if one not in drawn[:place]]


def _values(text: str) -> list[Any]:
    try:
        values: list[Any] = tomllib.loads(f"x = [{text}]")["x"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",")]  # bare words are meant as text
    return values


def _between(text: str, low: Any, high: Any) -> Between:  # noqa: ANN401
    if not all(isinstance(end, int | float) for end in (low, high)) or low >= high:
        raise BadSpec(f"{text!r} is no range of numbers", remedy="for example: --set learning_rate=1e-4..1e-2")
    return Between(low, high)
