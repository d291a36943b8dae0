"""What `tune` is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from cyclopts import Parameter

from grandrounds.cli.options import Wanted
from grandrounds.data import SourceOptions
from grandrounds.errors import BadSpec
from grandrounds.families import params_of, recipes
from grandrounds.specs import Spec
from grandrounds.study.space import (
    Tuning,
    Values,
    candidates,
    laid_over,
    one_by_one,
    shared,
    space_of,
    usual,
    with_usual,
)
from grandrounds.study.spec import Ask, Study

USUAL_RECIPES = 12  # tried where nobody says what to try


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Tried:
    """What tuning tries on the command line.

    Args:
        set_: Values of a parameter, name=1,2,3, or a range, name=1e-4..1e-2; may be given several times; of.name=… are
            those of the family that this one is made of; a value that is a list has brackets, name=[1,2],[3,4];
            by default learning rate, weight decay and batch size about those of the recipe.
        random: Try so many random combinations instead of all.
        one_by_one: Change one value of the family's recipe at a time, instead of trying all combinations.
        full: Train every recipe in full, instead of dropping two thirds after a third of the passes.
        seeds: How often each recipe is trained on each fold.
        seed: Root of all randomness.
        scheme: auto takes the official split where the data bring one, otherwise k-fold.
        folds: Folds of a k-fold split.
        on_folds: On how many of them.
        across: Deal train and valid anew, by patient, into so many folds, and score each recipe on all of them; by
            default on valid, which also chooses the epoch.
        primary: The metric that decides, on valid; that of the study by default, or auc.
        device: Where networks train; on that of the study by default, or the cpu.
        workers: Trials side by side; as many as the study has by default, or one per core.
        skip_bad: Go on without images that cannot be read.
    """

    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None
    random: int | None = None
    one_by_one: Annotated[bool, Parameter(negative="")] = False
    full: Annotated[bool, Parameter(negative="")] = False
    seeds: int = 3
    seed: int = 0
    scheme: Literal["auto", "official", "holdout", "kfold"] = "auto"
    folds: int = 5
    on_folds: int = 1
    across: int | None = None
    primary: str | None = None
    device: Literal["cpu", "cuda", "mps"] | None = None
    workers: int | None = None
    skip_bad: Annotated[bool, Parameter(negative="")] = False

    def ask(self, source: str, read: SourceOptions | None) -> Ask:
        """Return the request for a data source."""
        same = {name: getattr(self, name) for name in ("seed", "scheme", "folds", "workers", "skip_bad")}
        return Wanted(families="prior", device=self.device or "cpu", **same).ask(source, read, None)

    def over(self, study: Study | Ask, read: SourceOptions | None) -> Study | Ask:
        """Return a planned study with the means that are asked for here.

        Raises:
            BadSpec: Its data or its split are asked for differently.
        """
        default = Tried()
        brought = ("scheme", "folds", "skip_bad")
        if read is not None or any(getattr(self, name) != getattr(default, name) for name in brought):
            raise BadSpec("a planned study brings its own data and split", remedy="change them in its study.toml")
        asked = {name: getattr(self, name) for name in ("workers", "device") if getattr(self, name)}
        return study.replaced(means=study.means.replaced(**asked))

    def tuning(self, task: Ask | Study, family: str) -> Tuning:
        """Return what is to be compared, beside what a planned study has for the family.

        Raises:
            BadSpec: There is no such recipe, or two options contradict each other.
        """
        self._refuse_what_cannot_be()
        recipes.refuse_unknown(family)
        planned = {one.family: one.params for one in task.recipes}
        base = planned.get(family) or params_of(family)
        tried, place = self._recipes(family, base)
        return Tuning(
            family=family, base=base, tried=tried, usual=place, primary=self.primary or task.judge.primary,
            margin=task.judge.margin, seeds=self.seeds, seed=self.seed, folds=self.on_folds, across=self.across,
            halving=not self.full,
        )  # fmt: skip

    def _recipes(self, family: str, base: Spec) -> tuple[list[Values], int]:
        space = space_of(self.set_) if self.set_ else usual(family, base)
        n_random = self.random or (USUAL_RECIPES if not self.set_ else None)
        alone = self.one_by_one
        tried = one_by_one(space) if alone else candidates(space, n_random, self.seed)
        return with_usual(tried, {} if alone else shared(space), partial(laid_over, family, base))

    def _refuse_what_cannot_be(self) -> None:
        if self.across is not None and self.across < 2:
            raise BadSpec(f"--across {self.across}: the fewest folds are two", remedy="for example: --across 5")
        if self.across and self.on_folds != 1:
            raise BadSpec(
                "--across deals train and valid of one fold anew, and --on-folds asks for several",
                remedy="give one of the two",
            )
        if self.one_by_one and self.random:
            raise BadSpec("--one-by-one and --random cannot both choose what is tried", remedy="give one of the two")
