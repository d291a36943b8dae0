"""What a step of preparation is."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from grandrounds.image import Image
from grandrounds.specs import Spec


class Step(Spec):
    """One deterministic change of an image: its parameters are its fields, and it learns nothing.

    Args:
        step: Name in the registry.
    """

    step: str

    @property
    def patients(self) -> frozenset[str]:
        """Whose images a model had learned from whose work the step applies, as hashes; nobody's but for artefacts."""
        return frozenset()

    @property
    def forgets_scale(self) -> bool:
        """Whether it gives the same whatever the scale of grey values was."""
        return False

    def with_masks(self, folder: Path) -> Self:  # noqa: ARG002  (for steps that apply masks)
        """Return the step with masks of another folder; as it is where it applies none."""
        return self

    @abc.abstractmethod
    def __call__(self, image: Image) -> Image:
        """Return the changed image; the one given stays as it was.

        Raises:
            BadData: The image is not of a kind that this step can work on.
        """


@dataclass(frozen=True, slots=True)
class StepEntry:
    """One step of the catalogue.

    Args:
        name: What studies write as `step = "…"`.
        stage: Where it is meant to stand: before patches are cut (`"whole"`), after (`"each"`), or both.
        build: `"module:Class"` of the step.
        summary: One line for lists.
        reference: Paper or page that defines it.
    """

    name: str
    stage: Literal["whole", "each", "both"]
    build: str
    summary: str
    reference: str
