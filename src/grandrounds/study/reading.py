"""How families read what was prepared: what a user should know of it, and what is refused before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from grandrounds import families
from grandrounds.errors import BadData
from grandrounds.families.exam import modalities, repeated
from grandrounds.families.params_of_others import ExamsParams, fusing
from grandrounds.prepare import Pipeline
from grandrounds.study.spec import Recipe, is_control
from grandrounds.study.workspace import Workspace
from grandrounds.tables import OF_COLUMNS
from grandrounds.training.parts import n_parts


def refuse_unreadable(recipes: Mapping[str, Recipe], workspace: Workspace) -> None:
    """Refuse recipes, by the names of their families, that cannot read what was prepared.

    Raises:
        BadData: Planes were asked for where there are volumes or the other way round, exams of one size where series
            lie on a canvas, or several tasks where there is one.
    """
    refuse_misread(list(recipes), tuple(workspace.prepared.pixels.shape[1:]))
    refuse_alone(list(recipes), workspace)
    refuse_canvas(recipes, workspace.pipeline)


def refuse_misread(names: Sequence[str], shape: tuple[int, ...]) -> None:
    """Refuse families that cannot read images of this shape, before anything is trained."""
    n_axes = len(shape) - 1
    misread = [name for name in names if n_axes not in families.FAMILIES.get(name).dims]
    if not misread:
        return
    size = "×".join(map(str, shape[1:]))
    if n_axes == 3:
        raise BadData(
            f"the prepared images are volumes of {size}, and these families read planes: {', '.join(misread)}",
            remedy="put slices: before the name of a network, as in --families prior,slices:resnet-18, "
            "or make each slice a sample with --unit slice (its exam stays the case)",
        )
    raise BadData(
        f"the prepared images are planes of {size}, and these families read volumes: {', '.join(misread)}",
        remedy="make each exam a sample with --unit volume, or leave these families out",
    )


def refuse_alone(names: Sequence[str], workspace: Workspace) -> None:
    """Refuse families that learn several tasks at once where the study has one."""
    several = [name for name in names if families.FAMILIES.get(name).learns_several]
    if several and not workspace.beside:
        raise BadData(
            f"this study has one task, and these families learn several at once: {', '.join(several)}",
            where=workspace.dataset.name,
            remedy="name the tasks with --tasks FIRST,SECOND, or leave these families out",
        )


def refuse_canvas(recipes: Mapping[str, Recipe], pipeline: Pipeline) -> None:
    """Refuse networks of exams where images lie on a canvas, whose border they would read as part of a series."""
    joint = [name for name, recipe in recipes.items() if isinstance(fusing(recipe.params), ExamsParams)]
    if joint and any(step.step == "canvas" for step in pipeline.each):
        raise BadData(
            f"series of several sizes cannot be laid beside each other, and here they lie on a canvas: {joint[0]}",
            remedy='bring them to one size with the step "format_stack" or "pad_crop" in place of "canvas"; or take '
            "fusion:, whose members read a series each",
        )


def notes(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield what a reader should know of how images of that space are read."""
    yield from _in_parts(recipes, samples, space)
    yield from _repeated(recipes, samples, space)


def _in_parts(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence on each family for whose batches of images of that space memory is too small."""
    for name, recipe in recipes.items():
        n_batch, n_series = int(getattr(recipe.params, "batch_size", 1)), _side_by_side(recipe, samples)
        reads = families.FAMILIES.get(name).iterates and not is_control(recipe)
        n = n_parts(space, n_batch, n_series) if reads else 1
        if n > 1:
            what = "volumes" if n_series == 1 else f"exams with {n_series} series"
            size = "×".join(map(str, space))
            yield (
                f"{name}: a batch of {n_batch} {what} of {size} is read in {n} parts, whose gradients are added up, "
                'so that it fits into memory; the steps "format_stack" and "resample" make volumes smaller.'
            )


def _side_by_side(recipe: Recipe, samples: pl.DataFrame) -> int:
    """Return how many series of an exam a family reads at once; one where it reads each by itself."""
    exams = fusing(recipe.params)
    if not isinstance(exams, ExamsParams):
        return 1
    return max(1, sum(one != OF_COLUMNS for one in modalities(samples, exams)))


def _repeated(recipes: Mapping[str, Recipe], samples: pl.DataFrame, space: tuple[int, ...]) -> Iterator[str]:
    """Yield a sentence on each series that exams have twice, where a family reads exams of volumes."""
    if len(space) == 3 and any(families.FAMILIES.get(name).reads == "case" for name in recipes):
        named = samples["series_kind"].drop_nulls().unique().sort().to_list()
        for found in repeated(samples, named):
            yield (
                f"{found}: families behind exams: read the first, those behind fusion: average what is said of each. "
                "Of a DICOM export --series.kinds tells series apart by parts of their descriptions."
            )
