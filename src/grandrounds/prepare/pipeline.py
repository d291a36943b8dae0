"""A pipeline of steps, before and after patches are cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from pydantic import BeforeValidator, SerializeAsAny, model_validator

from grandrounds import registry, specs, tables
from grandrounds.errors import BadData, BadSpec, Leak
from grandrounds.image import Image
from grandrounds.prepare.catalogue import STEPS
from grandrounds.prepare.step import Step
from grandrounds.shapes import Batch
from grandrounds.specs import Spec
from grandrounds.wording import many


def build_step(content: Mapping[str, Any]) -> Step:
    """Return the step that plain data describe.

    Raises:
        BadSpec: There is no such step, or it has no such parameter.
    """
    if "step" not in content:
        raise BadSpec("a step of preparation needs its name", where=dict(content), remedy='write step = "…"')
    entry = STEPS.get(str(content["step"]))
    kind: type[Step] = registry.load(entry.build)
    return specs.parse(kind, content, where=f"step {entry.name!r}")


def _built(content: object) -> object:
    return build_step(content) if isinstance(content, Mapping) else content


AnyStep = Annotated[SerializeAsAny[Step], BeforeValidator(_built)]


class Pipeline(Spec):
    """How an image becomes what a model reads; the same for every family, learned from nothing.

    Args:
        whole: Steps on a whole file or volume.
        each: Steps on each sample, after patches were cut out of the whole.
    """

    whole: tuple[AnyStep, ...] = ()
    each: tuple[AnyStep, ...] = ()

    @model_validator(mode="after")
    def _canvas_comes_last(self) -> Self:
        if any(step.step == "canvas" for step in (*self.whole, *self.each[:-1])):
            raise ValueError('nothing may change a canvas: the step "canvas" has to be the last one of `each`')
        return self

    def __call__(self, image: Image) -> Batch:
        """Return the prepared pixels of an image that is one sample, (C, H, W) or (C, D, H, W).

        Raises:
            BadData: The image does not suit a step, or does not hold finite numbers afterwards.
        """
        return self.finish(self.start(image))

    @property
    def patients(self) -> frozenset[str]:
        """Whose images the models behind its artefacts had learned from, as hashes."""
        return frozenset[str]().union(*(step.patients for step in (*self.whole, *self.each)))

    @property
    def forgets_scale(self) -> bool:
        """Whether it gives the same whatever the scale of grey values was."""
        return any(step.forgets_scale for step in (*self.whole, *self.each))

    def with_masks(self, folder: Path) -> Self:
        """Return the pipeline with the masks of another folder, which the same model made.

        Raises:
            BadSpec: It puts no masks on images.
            BadData: There are no masks in the folder, or another model made them.
        """
        if not any(step.step == "masked" for step in (*self.whole, *self.each)):
            raise BadSpec('these images are prepared without the step "masked"', remedy="leave the masks out")
        whole, each = ([step.with_masks(folder) for step in steps] for steps in (self.whole, self.each))
        return type(self)(whole=tuple(whole), each=tuple(each))

    def for_grey(self, colours: Collection[str | None]) -> Self:
        """Return the pipeline for images of these colours that a model of one channel is to read.

        Where some say the same grey in red, green and blue, and none says more, that is taken once before anything
        else; otherwise, and where a step sees to channels, it stays as it is.
        """
        names_step = any(step.step in ("grayscale", "rgb") for step in (*self.whole, *self.each))
        if names_step or "grey as RGB" not in colours or not set(colours) <= {"grey", "grey as RGB"}:
            return self
        return self.replaced(whole=(build_step({"step": "grayscale"}), *self.whole))

    def refuse_tested(self, patients: pl.Series) -> None:
        """Refuse artefacts whose model had learned from one of these patients, on whom something will be judged.

        Raises:
            Leak: It had.
        """
        n_met = len(set(tables.patient_hashes(patients)) & self.patients)
        if n_met:
            raise Leak(
                f"the model behind a mask learned from images of {many(n_met, 'patient')} of valid or test",
                where='step "masked"',
                remedy="take masks of a model that was trained on other patients, such as the simulated ones",
            )

    def start(self, image: Image) -> Image:
        """Return the whole image, ready for patches to be cut."""
        for step in self.whole:
            image = step(image)
        return image

    def finish(self, image: Image) -> Batch:
        """Return the prepared pixels of one sample, (C, H, W) or (C, D, H, W)."""
        for step in self.each:
            image = step(image)
        if not image.is_finite:
            raise BadData("some pixels are no numbers after preparation", remedy="mend the image, or leave it out")
        return image.pixels.astype(np.float32)
