"""What `tune` is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from grandrounds.cli.options import Wanted
from grandrounds.data import SourceOptions
from grandrounds.families import params_of, recipes
from grandrounds.study.space import Tuning, candidates, space_of, usual
from grandrounds.study.spec import Ask, Study

USUAL_RECIPES = 12  # tried where nobody says what to try


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Tried:
    """What tuning tries on the command line.

    Args:
        set_: Values of a parameter, name=1,2,3, or a range, name=1e-4..1e-2; may be given several times; by default
            learning rate, weight decay and batch size about those of the recipe.
        random: Try so many random combinations instead of all.
        full: Train every recipe in full, instead of dropping two thirds after a third of the passes.
        seeds: How often each recipe is trained on each fold.
        seed: Root of all randomness.
        scheme: auto takes the official split where the data bring one, otherwise k-fold.
        folds: Folds of a k-fold split.
        on_folds: On how many of them.
        primary: The metric that decides, on valid.
        device: Where networks train.
        workers: Trials side by side; one per core by default.
        skip_bad: Go on without images that cannot be read.
    """

    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None
    random: int | None = None
    full: Annotated[bool, Parameter(negative="")] = False
    seeds: int = 3
    seed: int = 0
    scheme: Literal["auto", "official", "holdout", "kfold"] = "auto"
    folds: int = 5
    on_folds: int = 1
    primary: str = "auc"
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    workers: int | None = None
    skip_bad: Annotated[bool, Parameter(negative="")] = False

    def ask(self, source: str, read: SourceOptions | None) -> Ask:
        """Return the request for a data source."""
        same = ("seed", "scheme", "folds", "device", "workers", "skip_bad")
        return Wanted(families="prior", **{name: getattr(self, name) for name in same}).ask(source, read, None)

    def tuning(self, task: Ask | Study, family: str) -> Tuning:
        """Return what is to be compared, beside what a planned study has for the family."""
        recipes.refuse_unknown(family)
        planned = {one.family: one.params for one in task.recipes}
        base = planned.get(family) or params_of(family)
        space = space_of(self.set_) if self.set_ else usual(base)
        n_random = self.random or (USUAL_RECIPES if not self.set_ else None)
        return Tuning(
            family=family, base=base, tried=candidates(space, n_random, self.seed), primary=self.primary,
            seeds=self.seeds, seed=self.seed, folds=self.on_folds, halving=not self.full,
        )  # fmt: skip
