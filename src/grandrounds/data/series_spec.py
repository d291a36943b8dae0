"""Which series of an exam is meant, where an exam has several."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from grandrounds.specs import Spec, apart

Plane = Literal["axial", "coronal", "sagittal"]


class SeriesSpec(Spec):
    """Which series of an exam is meant, where an exam has several.

    Args:
        plane: How the slices lie in the body; any by default.
        thickest_mm: Slices that are thicker do not count; all do by default.
        kernel: Part of the reconstruction kernel's name, upper or lower case; any by default.
        contrast: Whether contrast medium was given; either by default.
        description: Part of the series description, upper or lower case; any by default.
        pick: `"one"` takes the series with the thinnest slices, then the most of them, of those that fit; `"all"`
            takes every one that fits.
        channels: Parts of series descriptions, with commas between them. Each exam's series that have them become the
            channels of one volume, in this order, all laid on the first; of several for one channel, the one that
            `"one"` would take. Of parts that fit one description the longest counts. Empty: a series is a volume of its
            own.
        kinds: Parts of series descriptions that tell an exam's series apart, with commas between them. A series that
            has one is called so, and others are not read; `pick` chooses among those with the same part. Of parts that
            fit one description the longest counts. Empty: a series is called by its plane.
    """

    plane: Plane | None = None
    thickest_mm: float | None = None
    kernel: str | None = None
    contrast: bool | None = None
    description: str | None = None
    pick: Literal["one", "all"] = "one"
    channels: Annotated[tuple[str, ...], BeforeValidator(apart)] = ()
    kinds: Annotated[tuple[str, ...], BeforeValidator(apart)] = ()

    @model_validator(mode="after")
    def _refuse_both(self) -> Self:
        if self.channels and self.kinds:
            raise ValueError("series are either the channels of one volume or told apart: give channels or kinds")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of descriptions, of which a series has to have one; empty where nothing is said of them."""
        return self.channels or self.kinds
