"""Command-line values that are more than a word: times, lists, where a run goes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from grandrounds.cores import processors
from grandrounds.data import SourceOptions
from grandrounds.errors import BadSpec
from grandrounds.evaluate.aims import Aims
from grandrounds.families import recipes
from grandrounds.specs import S, parse
from grandrounds.splits import SplitSpec
from grandrounds.study.spec import DEFAULT_FAMILIES, Ask, DataSpec, JudgeSpec, Means, Recipe, Study

RUNS = Path("runs")
CURVE = (0.1, 0.25, 0.5)  # parts of the training patients of a learning curve, beside all of them
_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Deciding:
    """What is to be decided with the probabilities.

    Args:
        sensitivity: Set a threshold for this sensitivity; may be given several times.
        specificity: Set a threshold for this specificity; may be given several times.
        miss_cost: Set a threshold where a missed case costs this many false alarms; may be given several times.
        prevalence: Of the positive class where the model will be used, such as 0.02.
        coverage: How often a set of classes is to hold the true one.
    """

    sensitivity: Annotated[list[float] | None, Parameter(negative="")] = None
    specificity: Annotated[list[float] | None, Parameter(negative="")] = None
    miss_cost: Annotated[list[float] | None, Parameter(negative="")] = None
    prevalence: float | None = None
    coverage: float | None = None

    def aims(self) -> Aims:
        """Return it as a study keeps it; what was not asked for is as by default."""
        asked = {
            "sensitivity": self.sensitivity, "specificity": self.specificity, "miss_costs": self.miss_cost,
            "prevalence": self.prevalence, "coverage": self.coverage,
        }  # fmt: skip
        return _asked(Aims, {name: value for name, value in asked.items() if value is not None})


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Judged:
    """How families are compared.

    Args:
        primary: The metric that decides.
        margin: Differences smaller than this do not matter.
        resamples: Bootstrap resamples of patients.
        rope: Add how probable it is that a difference matters (region of practical equivalence).
        by: On what families are compared; auto takes cases, or samples where those of a case have several labels.
        aggregation: How the samples of a case or a patient become one answer; valid lets each trial choose there; a
            number such as 0.25 is the share of positive samples from which on a case is positive.
        slice: Look at the slices of this column too; may be given several times.
        decide: What is to be decided with the probabilities.
    """

    primary: str = "auc"
    margin: float = 0.02
    resamples: int = 10_000
    rope: Annotated[bool, Parameter(negative="")] = False
    by: Literal["auto", "sample", "case", "patient"] = "auto"
    aggregation: Literal["valid", "mean", "noisy-or", "max", "fraction"] | float = "valid"
    slice: Annotated[list[str] | None, Parameter(negative="")] = None
    decide: Deciding | None = None

    def spec(self) -> JudgeSpec:
        """Return it as a study keeps it."""
        same = {name: getattr(self, name) for name in ("primary", "margin", "resamples", "rope", "aggregation")}
        decide = (self.decide or Deciding()).aims()
        return _asked(JudgeSpec, same | {"unit": self.by, "slices": tuple(self.slice or ()), "decide": decide})


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of a study on the command line.

    Args:
        budget: Training time of the whole study, such as 90s, 5m or 2h.
        families: Names of families or recipes, or .toml files of recipes, separated by commas.
        seeds: How often each family is trained on each fold; by default 3 where there is one fold, else 1.
        seed: Root of all randomness.
        scheme: auto takes the official split where the data bring one, otherwise k-fold; inside draws folds over its
            train and valid alone and leaves its test role closed.
        folds: Folds of a k-fold split, or inside.
        repeats: How often the folds are drawn.
        calib: Share of the training patients that only recalibrates; auto takes a twentieth if that is enough; none.
        group: sample imitates older papers and marks every page LEAKY.
        device: Where networks train.
        workers: Trials side by side; one per core by default.
        curve: Train on a tenth, a quarter and half of the patients as well, within the same budget.
        skip_bad: Go on without images that cannot be read.
        names: Keep the names of patients and files in what is written; by default they get pseudonyms.
    """

    budget: str = "20m"
    families: str = ",".join(DEFAULT_FAMILIES)
    seeds: int | None = None
    seed: int = 0
    scheme: Literal["auto", "official", "holdout", "kfold", "inside"] = "auto"
    folds: int = 5
    repeats: int = 1
    calib: Literal["auto", "none"] | float = "auto"
    group: Literal["patient", "sample"] = "patient"
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    workers: int | None = None
    curve: Annotated[bool, Parameter(negative="")] = False
    skip_bad: Annotated[bool, Parameter(negative="")] = False
    names: Annotated[bool, Parameter(negative="")] = False

    @property
    def says_workers_alone(self) -> bool:
        """Whether the number of workers was given, and nothing else."""
        return replace(self, workers=None) == Wanted() != self

    def ask(self, source: str, read: SourceOptions | None, judged: Judged | None) -> Ask:
        """Return the request for a data source."""
        wanted = [name.strip() for name in self.families.split(",") if name.strip()]
        if not wanted:
            raise BadSpec(
                "--families names none", remedy="leave it out for the usual ones, or: --families prior,thumbnail"
            )
        cores = 1 if self.device != "cpu" else processors()
        data = DataSpec(
            source=located(source), skip_bad=self.skip_bad, names=self.names, options=read or SourceOptions()
        )
        means = {"budget_s": seconds(self.budget), "workers": self.workers or cores, "device": self.device}
        split = {name: getattr(self, name) for name in ("scheme", "folds", "repeats", "group", "calib")}
        content = {
            "name": name_of(source), "data": data, "seeds": self.seeds, "seed": self.seed,
            "families": tuple(name for name in wanted if not name.endswith(".toml")),
            "recipes": tuple(recipe_in(Path(name)) for name in wanted if name.endswith(".toml")),
            "split": _asked(SplitSpec, split), "means": _asked(Means, means), "judge": (judged or Judged()).spec(),
            "curve": CURVE if self.curve else (),
        }  # fmt: skip
        return _asked(Ask, content)


def gone_on_with(planned: Study | Ask, home: Path | None, where: str, *options: object) -> Study | Ask:
    """Return a planned study as it is to go on: with other options it would be another study.

    Trials side by side change no result, so their number may be given for a study in its folder, where memory ran out.

    Args:
        planned: The study, or what is asked of several tasks.
        home: Its run folder; None where it has none yet.
        where: What the user called it.
        options: What was given beside it; None where nothing was.

    Raises:
        BadSpec: Something else was given.
    """
    given = [one for one in options if one is not None]
    if not given:
        return planned
    [wanted, *others] = given
    if others or home is None or not isinstance(wanted, Wanted) or not wanted.says_workers_alone:
        remedy = "change them in its study.toml; --workers alone may stand beside a run folder"
        raise BadSpec("a planned study brings its own options", where=where, remedy=remedy)
    ask = planned.asked() if isinstance(planned, Study) else planned
    return ask.replaced(means=_asked(Means, ask.means.model_dump() | {"workers": wanted.workers}))


def _asked(kind: type[S], content: Mapping[str, Any]) -> S:
    """Return the spec that options describe.

    Raises:
        BadSpec: A value cannot be; the message names the option and what it takes.
    """
    return parse(kind, content, where="the options", remedy="`--help` after the command says what each option is for")


def recipe_in(path: Path) -> Recipe:
    """Return the recipe in a TOML file."""
    file = recipes.read(path)
    return parse(Recipe, {"family": file.family, "params": file.params}, where=path)


def seconds(text: str) -> float:
    """Return the seconds in "90s", "5m" or "1.5h".

    Raises:
        BadSpec: The text is no time, or a number of nobody knows what.

    >>> seconds("5m")
    300.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip().lower())
    if match is not None and not match[2] and float(match[1]):
        raise BadSpec(f"{text!r} is a time in no unit", remedy=f"write {match[1]}s, {match[1]}m or {match[1]}h")
    if match is None or float(match[1]) == 0:
        raise BadSpec(f"{text!r} is not a time", remedy="write 90s, 5m or 2h")
    return float(match[1]) * _UNITS_S[match[2]]


def name_of(source: str) -> str:
    """Return a short name for a data source: the file's or folder's own, in lower case.

    >>> name_of("some/folder/BreastMNIST.npz")
    'breastmnist'
    """
    stem = Path(source).resolve().stem if Path(source).exists() else Path(source).stem
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "study"


def located(source: str) -> str:
    """Return a path made absolute, so that the study can be run from anywhere; a dataset's name as it is."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def result_in(out: Path | None, ending: str, sources: Iterable[Path | str]) -> Path | None:
    """Return the file that a result is written to, where nothing is lost by it.

    Args:
        out: What was asked for; None where nothing was.
        ending: Of such files, with its point.
        sources: Files and folders that are read.

    Raises:
        BadSpec: It is called otherwise, is no file, or is one of those that are read.
    """
    if out is None:
        return None
    if out.suffix.lower() != ending:
        raise BadSpec(f"a {ending[1:].upper()} file is written, and this is called otherwise", where=out,
                      remedy=f"let its name end in {ending}")  # fmt: skip
    if out.exists() and not out.is_file():
        raise BadSpec("this is no file that could be written anew", where=out, remedy="name another")
    read = [Path(one).resolve() for one in sources]
    if out.exists() and any(one in (out.resolve(), *out.resolve().parents) for one in read):
        raise BadSpec("this file is among those that are read, and would be lost", where=out, remedy="name another")
    return out


def image_shape(text: str) -> tuple[int, ...]:
    """Return (C, H, W) from text such as `1x64x64`, and (C, D, H, W) of a volume.

    Raises:
        BadSpec: It is not three or four sizes.

    >>> image_shape("1x64x64"), image_shape("1x16x64x64")
    ((1, 64, 64), (1, 16, 64, 64))
    """
    parts = re.split(r"[x×]", text.strip())
    sizes = [int(part) for part in parts if part.isdecimal()]
    if len(sizes) < len(parts) or len(sizes) not in (3, 4) or min(sizes) < 1:
        raise BadSpec(
            f"{text!r} is no size of an image",
            remedy="give channels, height and width, as --size 1x64x64; of volumes also slices, as --size 1x16x64x64",
        )
    return tuple(sizes)


def class_map(words: Sequence[str], read: SourceOptions | None = None) -> dict[str, str]:
    """Return their class to ours from `theirs=ours`.

    Args:
        words: As typed.
        read: How their source is read, where the names of its classes are no pairs.

    Raises:
        BadSpec: A word is no pair, or a pair was given as the name of a class.

    >>> class_map(["nodule=malignant", "unclear="])
    {'nodule': 'malignant', 'unclear': ''}
    """
    misplaced = [name for name in (read and read.classes) or () if "=" in name]
    if misplaced:
        raise BadSpec(
            f"--classes names the classes of the data, and {misplaced[0]!r} is a pair",
            remedy=f"say whose class is which of ours with --class-map {misplaced[0]}",
        )
    found: dict[str, str] = {}
    for word in words:
        theirs, equals, ours = (part.strip() for part in word.partition("="))
        if not theirs or not equals:
            raise BadSpec(f"{word!r} is not theirs=ours", remedy="for example: --class-map nodule=malignant")
        found[theirs] = ours
    return found


def settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Return parameters from `name=value` pairs, values as in a study's TOML.

    Raises:
        BadSpec: A pair cannot be read.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value  # a bare word is meant as text
        if not name.strip() or not value:
            raise BadSpec(f"{pair!r} is not name=value", remedy="for example: --set width=0.5")
    return found
