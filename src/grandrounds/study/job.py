"""What a trial is, one recipe on one fold with one seed, and what a process needs to run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grandrounds import families
from grandrounds.seeds import derive
from grandrounds.specs import Spec, digest
from grandrounds.splits import SplitPlan
from grandrounds.study.spec import Recipe


class Trial(Spec):
    """The key of one trial.

    Args:
        recipe: What is fitted.
        repeat: Repeat of the split.
        fold: Fold of the split.
        seed: Root seed of this trial.
        study_seed: Number of the seed, from 0.
        split: Identity of the split plan.
        prepared: Identity of the prepared images.
        threads: CPU threads.
        device: Where it runs.
        part: Share of the training patients that it sees.
        others: Identities of the split plans of the other tasks that it learns along, which hold their labels.
    """

    recipe: Recipe
    repeat: int
    fold: int
    seed: int
    study_seed: int
    split: str
    prepared: str
    threads: int = 1
    device: str = "cpu"
    part: float = 1.0
    others: tuple[str, ...] = ()

    def identity(self) -> str:
        """Return a hash of the content; trials on all patients keep the one that they had before there were parts."""
        unasked = {"part"} if self.part == 1 else set[str]()
        return digest(self.model_dump(mode="json", exclude=unasked if self.others else unasked | {"others"}))

    @property
    def name(self) -> str:
        """The folder's name: readable in front, unique behind."""
        part = "" if self.part == 1 else f"-p{100 * self.part:g}"
        place = f"r{self.repeat}-f{self.fold}-s{self.study_seed}{part}"
        return f"{self.recipe.family}-{place}-{self.identity()[:8]}".replace(":", "-")

    @property
    def columns(self) -> dict[str, object]:
        """What the tables of a trial say of it in every row."""
        return {
            "trial": self.name,
            "family": self.recipe.family,
            "recipe": self.recipe.identity(),
            "repeat": self.repeat,
            "fold": self.fold,
            "seed": self.study_seed,
        }


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker process needs for one trial.

    Args:
        trial: What to do.
        run: The run folder, which holds the tables.
        prepared: File of the prepared images.
        data: The folder or file of the images, beside which the ledger lies.
        flips: Whether mirroring keeps label and anatomy plausible.
        opens_test: Whether the test role is predicted; tuning leaves it closed, and keeps no model.
        inside: Whether the plan's folds divide train and valid of the data alone: what such a fold tests is predicted
            all the same, and the ledger does not count it.
        beside: The run folders of the other tasks of the study.
        again: Whether it is done once more where it is there, because it failed.
    """

    trial: Trial
    run: Path
    prepared: Path
    data: Path
    flips: bool
    opens_test: bool = True
    inside: bool = False
    beside: tuple[Path, ...] = ()
    again: bool = False


def trials_of(
    recipes: tuple[Recipe, ...], plan: SplitPlan, prepared: str,
    *, seed: int, seeds: int, threads: int, device: str, curve: Sequence[float] = (), others: tuple[str, ...] = (),
) -> list[Trial]:  # fmt: skip
    """Return every trial of a study, families innermost so that folds finish together, those on parts last."""
    learns_several = {one.family for one in recipes if families.FAMILIES.get(one.family).learns_several}
    return [
        Trial(
            recipe=recipe, repeat=fold.repeat, fold=fold.fold, study_seed=number,
            seed=derive(seed, "trial", repeat=fold.repeat, fold=fold.fold, number=number),
            split=plan.identity, prepared=prepared, threads=threads, device=device, part=part,
            others=others if recipe.family in learns_several else (),
        )
        for part in (1.0, *sorted(curve, reverse=True))
        for number in range(seeds)
        for fold in plan.folds()
        for recipe in recipes
    ]  # fmt: skip
