"""A run folder with its data opened: the dataset, the split plan drawn once, the prepared images.

Opening the same folder again gives the same workspace, or refuses because the images have changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from grandrounds import data, prepare, splits, tables
from grandrounds.data import Dataset
from grandrounds.errors import BadData, BadSpec
from grandrounds.formats.abreast import Crew
from grandrounds.prepare import Pipeline, PreparedArray
from grandrounds.seeds import derive
from grandrounds.specs import digest
from grandrounds.splits import SplitPlan
from grandrounds.splits.twins import with_twins
from grandrounds.study.pseudonyms import KEY, key_of, renamed, under_pseudonyms
from grandrounds.study.spec import Ask
from grandrounds.study.store import Store
from grandrounds.wording import many

Say = Callable[[str], None]
_SPLITS = "splits.parquet"
_STUDY = "study.toml"
_BEGUN = (_STUDY, "trials/*", "across-*/trials/*")  # a study was declared, or something was trained


class Beside(NamedTuple):
    """Another task of the same study: its run folder, and the identity of its split."""

    folder: Path
    split: str


@dataclass(frozen=True)
class Workspace:
    """A run folder with its data opened.

    Args:
        store: The run folder.
        dataset: What is read, under pseudonyms unless names were asked for.
        plan: Who is in which role.
        pipeline: How images are prepared.
        prepared: The prepared images, one row a sample.
        beside: The other tasks of a study of several.
    """

    store: Store
    dataset: Dataset
    plan: SplitPlan
    pipeline: Pipeline
    prepared: PreparedArray
    beside: tuple[Beside, ...] = ()


def open_workspace(ask: Ask, folder: Path, say: Say, *, pipeline: Pipeline | None, cache: Path | None) -> Workspace:
    """Open the data of a study, draw or reload its split, and prepare its images.

    Args:
        ask: What is asked for.
        folder: The run folder.
        say: Told what happens, in sentences.
        pipeline: How to prepare; None for the default of this modality and size.
        cache: Where data that grandrounds makes and prepared images are kept; None for the run folder.

    Raises:
        BadData: Images cannot be read and `skip_bad` was not asked for.
    """
    cache = cache or folder
    forget_refused([folder])
    # The same processes read the images for the first time and prepare them.
    with Crew(ask.means.workers) as crew:
        ahead = prepare.Ahead.where_new(pipeline, cache / "prepared")
        source, options = ask.data.source, ask.data.options
        if options.tasks and options.task:  # one of several has the split that was drawn for all of them
            of_tasks = data.open_tasks(source, options, cache=cache / "data", crew=crew, also=ahead)
            opened, draw = of_tasks[options.task], partial(drawn_for_all, ask, of_tasks)
            found = Opened(opened, partial(of_task, draw, opened), cache, crew, ahead)
        else:
            opened = data.open_dataset(source, options, cache=cache / "data", crew=crew, also=ahead)
            found = Opened(opened, partial(drawn, ask, opened), cache, crew, ahead)
        return made_ready(ask, found, folder, say, pipeline)


def forget_refused(folders: Collection[Path]) -> None:
    """Remove the split plan and the key from run folders in which nothing was declared or trained.

    Whoever was refused in planning left them; they would bind the next attempt to other data and other options.

    Args:
        folders: Of the tasks of one study; where one of them has begun, all keep what they have.
    """
    if any(next(folder.glob(sign), None) for folder in folders for sign in _BEGUN):
        return
    for folder in folders:
        for name in (_SPLITS, KEY):
            with contextlib.suppress(OSError):  # what cannot be written is refused with its reason, where it is written
                (folder / name).unlink()


def inside(workspace: Workspace, n_folds: int) -> Workspace:
    """Return a workspace, in a folder of its own, whose folds divide train and valid of the first fold by patient.

    What these folds test is no test role of the data, which has no part in it.

    Args:
        workspace: Of the data.
        n_folds: How many; fewer are drawn where a class has fewer patients.

    Raises:
        BadData: Train and valid have too few patients of a class.
    """
    outer, samples = workspace.plan, workspace.dataset.samples
    numbers = {
        column: {name: f"{place:09d}" for place, name in enumerate(samples[column].unique(maintain_order=True))}
        for column in ("case", "patient")
    }
    names = {column: {number: name for name, number in known.items()} for column, known in numbers.items()}
    # Drawn under numbers in the order of the data, so that the same seed gives the same folds whatever the names are.
    numbered = outer.renamed(partial(_called, names=numbers))
    seed = derive(outer.seed, "inside", n_folds=n_folds)
    drawn = numbered.inner(outer.folds()[0], n_folds, seed, roles=("train", "valid"))
    plan = drawn.renamed(partial(_called, names=names))
    store = Store(workspace.store.folder / f"across-{n_folds}")
    forget_refused([store.folder])
    _save(store, workspace.dataset, plan)
    return replace(workspace, store=store, plan=plan)


class Opened(NamedTuple):
    """Data that were read, and what a workspace is made of besides.

    Args:
        dataset: Under its own names.
        draw: Draws the split, where there is none yet.
        cache: Where prepared images are kept.
        crew: Who prepares them.
        ahead: What was prepared while the images were read.
    """

    dataset: Dataset
    draw: Callable[[], SplitPlan]
    cache: Path
    crew: Crew
    ahead: prepare.Ahead | None


def made_ready(ask: Ask, found: Opened, folder: Path, say: Say, pipeline: Pipeline | None) -> Workspace:
    """Return the workspace of data that were opened; see `open_workspace`."""
    store, opened = Store(folder), found.dataset
    for note in opened.left_out(skip_bad=ask.data.skip_bad):
        say(note)
    _refuse_unlabelled(opened, say)
    _refuse_torn_patients(opened, ask.judge.unit)
    ask.judge.decide.check(opened.task)
    key = None if ask.data.names or opened.simulated else key_of(folder, opened)
    dataset = opened if key is None else under_pseudonyms(opened, key)
    plan = _plan(found, key, folder)
    for note in (*opened.notes, *plan.notes):
        say(note)
    if pipeline is None:
        pipeline, reasons = prepare.default_pipeline(
            dataset.samples, dataset.grey_range, dataset.task, dataset.lies, dataset.colours
        )
        for reason in reasons:
            say(reason)
    _refuse_learned_from(pipeline, opened, dataset, plan)
    _save(store, dataset, plan)
    prepared = prepare.materialise(
        opened.samples, opened.files, pipeline, found.cache / "prepared",
        volumes=opened.volumes, crew=found.crew, ahead=found.ahead,
    )  # fmt: skip
    return Workspace(store, dataset, plan, pipeline, prepared)


def _refuse_unlabelled(dataset: Dataset, say: Say) -> None:
    """Refuse a set without labels; say how many cases of the others have none, since they enter no split."""
    if not dataset.is_labelled:
        raise BadData(
            "no image has a label, so there is nothing to learn",
            where=dataset.root,
            remedy="name a table of labels with --labels, or put the images into one folder per class",
        )
    if n_unknown := dataset.labels["label"].null_count():
        say(f"{many(n_unknown, 'case', 'have')} no known label: neither trained on nor tested.")


def _refuse_torn_patients(dataset: Dataset, unit: str) -> None:
    """Refuse to judge by patient, before anything is trained, where patients have several classes without an order."""
    if unit != "patient" or dataset.task.kind != "multiclass":
        return
    owned = dataset.samples.select("case", "patient").join(dataset.labels, on="case").drop_nulls("label")
    torn = owned.group_by("patient").agg(pl.col("label").n_unique().alias("n")).filter(pl.col("n") > 1).height
    if torn:
        raise BadData(
            f"{many(torn, 'patient', 'have')} cases of several classes without an order: nobody can judge by patient",
            where=dataset.root, remedy="judge by case or by sample: --by case",
        )  # fmt: skip


def _refuse_learned_from(pipeline: Pipeline, opened: Dataset, dataset: Dataset, plan: SplitPlan) -> None:
    """Refuse masks of a model that learned from patients who are not in train in every fold.

    Args:
        pipeline: How images are prepared.
        opened: The data under their own names, as masks know them.
        dataset: The same rows under the names of the plan.
        plan: Who is in which role.
    """
    judged = plan.table.filter(pl.col("role") != "train")["case"].unique()
    pipeline.refuse_tested(opened.samples.filter(dataset.samples["case"].is_in(judged.implode()))["patient"])


def _plan(found: Opened, key: bytes | None, folder: Path) -> SplitPlan:
    dataset, path = found.dataset, folder / _SPLITS
    if path.exists():
        plan = SplitPlan.load(path)
        plan.refuse_foreign(dataset.fingerprint)
        if not (folder / _STUDY).exists():  # which would say itself how its split was asked for
            _refuse_another(found.draw(), plan, folder)
        return plan
    # Drawn under the data's own names, so that the same seed gives the same folds whatever the key is.
    plan = found.draw()
    return plan if key is None else plan.renamed(partial(renamed, dataset=dataset, key=key))


def _refuse_another(asked: SplitPlan, kept: SplitPlan, folder: Path) -> None:
    if asked.identity != kept.identity:
        raise BadSpec(
            f"what is asked for draws another split than the one that the trials here rest on: {kept.spec.scheme}, "
            f"{many(len(kept.folds()), 'fold')}",
            where=folder, remedy="give --scheme, --folds and --seed as before, or choose another folder with -o",
        )  # fmt: skip


def drawn(ask: Ask, dataset: Dataset) -> SplitPlan:
    """Return the split of the labelled cases, drawn anew."""
    labels = dataset.labels.select("case", "label").drop_nulls("label")
    return splits.draw(
        with_roles(dataset, labels), ask.split, derive(ask.seed, "splits"), fingerprint=dataset.fingerprint
    )


def drawn_for_all(ask: Ask, opened: Mapping[str, Dataset]) -> SplitPlan:
    """Return the one split of all cases that have a label in any task, the classes of each spread evenly."""
    labels = pl.concat(
        one.labels.drop_nulls("label").select("case", label=pl.concat_str(pl.lit(f"{name}: "), "label"))
        for name, one in opened.items()
    )
    several = labels.group_by("case", maintain_order=True).agg("label")
    cases = with_roles(next(iter(opened.values())), several)
    fingerprint = digest([one.fingerprint for one in opened.values()])
    return splits.draw(cases, ask.split, derive(ask.seed, "splits"), fingerprint=fingerprint)


def of_task(for_all: Callable[[], SplitPlan], dataset: Dataset) -> SplitPlan:
    """Return the split of one task out of that for all."""
    try:
        return for_all().of_task(dataset.labels, dataset.fingerprint)
    except BadData as error:
        raise BadData(f"task {dataset.task.name}: {error.what}", where=error.where, remedy=error.remedy) from None


def with_roles(dataset: Dataset, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the cases of a table of labels with what else a draw wants to know of them."""
    cases = dataset.samples.select("case", "patient").unique(maintain_order=True)
    cases = cases.join(labels, on="case", how="inner", maintain_order="left")
    if dataset.official is None:
        cases = cases.with_columns(role=pl.lit(None, dtype=pl.String()))
    else:
        cases = cases.join(dataset.official, on="case", how="left", maintain_order="left")
    return with_twins(cases, dataset.samples)


def _called(table: pl.DataFrame, names: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    return table.with_columns(pl.col(column).replace_strict(known) for column, known in names.items())


def _save(store: Store, dataset: Dataset, plan: SplitPlan) -> None:
    meta = {
        "task": dataset.task.model_dump(),
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "patient_known": dataset.patient_known,
        "simulated": dataset.simulated,
        "licence": dataset.licence,
        "notes": list(dataset.notes),
        "published": [one.model_dump() for one in dataset.published],
        "n_bad": dataset.bad.height,
        "flow": [] if dataset.flow is None else dataset.flow.to_dicts(),
    }
    folder = store.folder
    tables.write(dataset.samples, tables.SAMPLES, folder / "samples.parquet", meta)
    tables.write(dataset.files, tables.FILES, folder / "files.parquet", meta)
    tables.write(dataset.labels, tables.LABELS, folder / "labels.parquet", meta)
    if not (folder / _SPLITS).exists():
        plan.save(folder / _SPLITS)
