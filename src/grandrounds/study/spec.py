"""A study as data: what is read, how it is split and prepared, which recipes run, how they are judged.

`study.toml` in the run folder is this record, with everything resolved: running it again gives the same trials.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from grandrounds import families, specs
from grandrounds.data import SourceOptions
from grandrounds.evaluate.aims import Aims
from grandrounds.evaluate.catalogue import METRICS
from grandrounds.families.params_of_others import fusing
from grandrounds.prepare import Pipeline
from grandrounds.specs import Spec, digest, parse
from grandrounds.splits import SplitSpec

VOLUME_FAMILIES = (
    "prior", "metadata", "thumbnail", "slices:resnet-18", "slices:resnet-18@attention", "monai:resnet18",
)  # fmt: skip
DEFAULT_FAMILIES = ("prior", "metadata", "thumbnail", "lbp-svm", "li2014", "resnet-18", "vit-tiny")
FLOORS = ("prior", "metadata", "thumbnail")


Curve = tuple[Annotated[float, Field(gt=0, lt=1)], ...]


DATA: Final = "data.json"  # what was read for an external validation, in the folder of its tables


class DataSpec(Spec):
    """Which images are read.

    Args:
        source: A path, or the name of a dataset that grandrounds knows.
        skip_bad: Whether to go on without the images that cannot be read.
        names: Whether patients and files keep their names in what is written; by default they get pseudonyms.
        options: How the source is read, where the defaults do not fit.
    """

    source: str
    skip_bad: bool = False
    names: bool = False
    options: SourceOptions = SourceOptions()


class Recipe(Spec):
    """One family with everything that decides what it does.

    Args:
        family: Name in the registry of families; with `@NAME` behind it where the family stands in a study twice.
        epochs: Passes over the training images, its share of the budget; 0 for families that do not iterate.
        cap_s: Seconds after which the clock stops a trial; None for never.
        params: The family's own parameters, all of them.
    """

    family: str
    epochs: int = Field(default=0, ge=0)
    cap_s: float | None = None
    params: SerializeAsAny[Spec]

    @model_validator(mode="before")
    @classmethod
    def _with_params(cls, content: Any) -> Any:  # noqa: ANN401
        return content if not isinstance(content, dict) or "params" in content else content | {"params": {}}

    @field_validator("params", mode="before")
    @classmethod
    def _typed(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        if isinstance(value, Spec) or "family" not in info.data:
            return value
        return families.params_of(info.data["family"], dict(value))


class Means(Spec):
    """What the study may use.

    Args:
        budget_s: Seconds of training for the whole study, shared equally among the families.
        workers: Trials side by side.
        threads: CPU threads of one trial.
        device: `"cpu"`, `"cuda"` or `"mps"`.
    """

    budget_s: float = Field(default=1200.0, gt=0)
    workers: int = Field(default=2, ge=1)
    threads: int = Field(default=1, ge=1)
    device: Literal["cpu", "cuda", "mps"] = "cpu"


class JudgeSpec(Spec):
    """How the families are compared; declared before anything is trained.

    Args:
        primary: The metric that decides.
        margin: Differences smaller than this do not matter.
        resamples: Bootstrap resamples of patients.
        rope: Whether to add how probable it is that a difference matters (region of practical equivalence).
        unit: On what families are compared: samples, cases or patients; auto takes cases, or samples where those of a
            case have several labels.
        aggregation: How the samples of a case or a patient become one answer; by default each trial chooses on valid. A
            number is the share of positive samples from which on a case is positive, such as 0.25.
        slices: Columns of the samples to slice the test role by, beside those that are recognised.
        decide: What thresholds and sets of classes are to reach, and where the model will be used.
    """

    primary: str = "auc"
    margin: float = Field(default=0.02, ge=0)
    resamples: int = Field(default=10_000, ge=100)
    rope: bool = False
    unit: Literal["auto", "sample", "case", "patient"] = "auto"
    aggregation: Literal["valid", "mean", "noisy-or", "max", "fraction"] | Annotated[float, Field(gt=0, lt=1)] = "valid"
    slices: tuple[str, ...] = ()
    decide: Aims = Aims()

    @field_validator("primary")
    @classmethod
    def _is_a_metric(cls, name: str) -> str:
        METRICS.get(name)
        return name


class Ask(Spec):
    """What a user asks for; planning turns it into a study.

    Args:
        name: Name of the study, also of its run folder.
        seed: Root of all randomness.
        seeds: How often each family is trained on each fold; None for three where there is one fold, else one.
        families: Names in the registry, or of recipes.
        recipes: Recipes with parameters of their own, which run beside those families.
        data: Which images.
        split: How they are divided.
        means: What may be used.
        judge: How the families are compared.
        curve: Shares of the training patients to train on as well, for a learning curve; none for no curve.
    """

    name: str
    data: DataSpec
    seed: int = 0
    seeds: int | None = Field(default=None, ge=1)
    families: tuple[str, ...] = DEFAULT_FAMILIES
    recipes: tuple[Recipe, ...] = ()
    split: SplitSpec = SplitSpec()
    means: Means = Means()
    judge: JudgeSpec = JudgeSpec()
    curve: Curve = ()

    @field_validator("families")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            families.FAMILIES.get(name)
            families.recipes.refuse_unknown(name)
        return names

    @model_validator(mode="after")
    def _one_recipe_a_name(self) -> Self:
        _refuse_twice([*self.families, *(recipe.family for recipe in self.recipes)])
        return self

    def suiting(self, n_axes: int) -> Self:
        """Return the request with families for volumes where it names none and images have three axes of space."""
        if n_axes != 3 or self.families != DEFAULT_FAMILIES:
            return self
        return self.replaced(families=for_volumes())

    @property
    def wanted(self) -> dict[str, Recipe]:
        """Every recipe that is to run, by the name under which it stands in every table."""
        named = {name: parse(Recipe, {"family": name}) for name in self.families}
        return named | {recipe.family: recipe for recipe in self.recipes}


def for_volumes() -> tuple[str, ...]:
    """Return the families of a study of volumes that names none: those whose packages are installed."""
    needs = {name: families.FAMILIES.get(name).requires for name in VOLUME_FAMILIES}
    return tuple(name for name in VOLUME_FAMILIES if all(importlib.util.find_spec(one) for one in needs[name]))


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"{', '.join(twice)} stands twice in the study; give one of them a name of its own: {twice[0]}@NAME"
        )


class Study(Spec):
    """Everything that decides the outcome of a comparison: an `Ask` with its pipeline and recipes worked out."""

    name: str
    seed: int = 0
    seeds: int = Field(default=1, ge=1)
    data: DataSpec
    split: SplitSpec = SplitSpec()
    means: Means = Means()
    judge: JudgeSpec = JudgeSpec()
    curve: Curve = ()
    prepare: Pipeline
    recipes: tuple[Recipe, ...]

    @model_validator(mode="after")
    def _one_recipe_a_name(self) -> Study:
        _refuse_twice([recipe.family for recipe in self.recipes])
        return self

    def identity(self) -> str:
        """Return a hash of the content; studies that ask for no calib keep the one of before there was such a role."""
        unasked = {"split": {"calib"}} if self.split.calib == "auto" else None
        return digest(self.model_dump(mode="json", exclude=unasked))

    def asked(self) -> Ask:
        """Return what was asked for, with the recipes in full."""
        shared = {name: getattr(self, name) for name in Ask.model_fields if name not in ("families", "recipes")}
        return Ask(families=(), recipes=self.recipes, **shared)

    def differences(self, ask: Ask) -> list[str]:
        """Return in words where a request differs from the one that this study came from.

        What it leaves open and how many trials run side by side do not count, nor the defaults of its families, which
        a later version may have changed.
        """
        alike = ask.replaced(
            means=ask.means.replaced(workers=self.means.workers).model_dump(), seeds=ask.seeds or self.seeds
        )
        own = {recipe.family: recipe.params for recipe in self.recipes}
        planned = _but_controls(self.recipes)
        asked = [[*one.families, *_but_controls(ask.recipes)] for one in (ask, ask.suiting(3))]
        changed = any(own.get(recipe.family) != recipe.params for recipe in ask.recipes)
        shared = [name for name in Ask.model_fields if name not in ("families", "recipes")]
        return [
            *([f"families are {', '.join(planned)}, not {', '.join(asked[0])}"] if planned not in asked else []),
            *(["recipes"] if changed else []),
            *specs.differences(self, alike, shared),
        ]


def is_control(recipe: Recipe) -> bool:
    """Whether a recipe is a control that planning put beside a fusion."""
    fusion = fusing(recipe.params)
    return fusion is not None and fusion.controls == "self"


def floors_of(study: Study) -> tuple[str, ...]:
    """Return the families that a useful one must beat: the floors, and controls with a modality dealt out anew."""
    fusions = ((one.family, fusing(one.params)) for one in study.recipes if is_control(one))
    return (*FLOORS, *(name for name, fusion in fusions if fusion is not None and fusion.shuffled is not None))


def _but_controls(recipes: Sequence[Recipe]) -> list[str]:
    return [recipe.family for recipe in recipes if not is_control(recipe)]


COMMENTS = {
    "seed": "Root of all randomness.",
    "seeds": "How often each family is trained on each fold with another seed.",
    "data": "Which images are read.",
    "curve": "Shares of the training patients to train on as well; they take their part of the budget.",
    "data.skip_bad": "Go on without images that cannot be read; the report's n is the n trained.",
    "split": "Drawn once, by patient and stratified by class; every family gets the same rows.",
    "split.scheme": "auto: the official split where the data bring one, else k-fold; inside: folds without its test.",
    "split.group": 'group = "sample" imitates older papers and marks every page LEAKY.',
    "split.valid_fraction": "Part of train, by patient, that chooses epochs and thresholds.",
    "split.calib": "Part of train that only recalibrates: auto, a twentieth if that is patients enough; none; a share.",
    "means.budget_s": "Training seconds of the whole study, shared equally among the families.",
    "means.workers": "Trials side by side; one thread each is faster here than one trial on all threads.",
    "judge.primary": "The metric that decides, declared before anything is trained.",
    "judge.margin": "Differences smaller than this do not matter.",
    "judge.rope": "Whether to add how probable it is that a difference matters.",
    "judge.unit": "sample, case or patient; auto: case, or sample where those of a case have several labels.",
    "judge.aggregation": "How samples become a case: valid chooses, or mean, noisy-or, max, fraction, or a share.",
    "judge.slices": "Columns to look at in slices; site, scanner, sex, age and size are recognised without.",
    "judge.decide": "What is decided with the probabilities; every rule is set on valid and judged on test.",
    "judge.decide.miss_costs": "How many false alarms a missed case costs.",
    "judge.decide.coverage": "How often a set of classes is to hold the true one.",
    "prepare": "Deterministic, per image, the same for every family; `whole` before patches are cut, `each` after.",
    "recipes.epochs": "This family's equal share of the budget, turned into epochs once.",
    "recipes.cap_s": "The clock only stops a trial that overruns this; it is then marked truncated.",
}
