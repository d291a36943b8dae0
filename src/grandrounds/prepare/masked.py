"""A step that keeps what masks show that a trained model made before; it trains nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.artefact import Masks, masks_in
from grandrounds.prepare.lungs import keep
from grandrounds.prepare.step import Step


class Masked(Step):
    """The part of an image that its mask shows stays, and everything else becomes air.

    The masks were made by `grandrounds mask`. A study is refused where a patient of its valid or test role is one whose
    images their model was trained on.

    Args:
        masks: Folder of the masks.
        model: Hash of the model that made them; filled in where it is not given, and compared where it is.
        fill_hu: Value of what is outside.
        crop: Whether to cut to the box about the mask.
        margin_mm: Kept around that box, as far as the image goes.
    """

    step: Literal["masked"] = "masked"
    masks: str
    model: str
    fill_hu: float = -1000.0
    crop: bool = False
    margin_mm: float = Field(default=5.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_its_model(cls, content: Any) -> Any:  # noqa: ANN401  (what a study says, before it is checked)
        if not isinstance(content, dict) or content.get("model") or not isinstance(content.get("masks"), str):
            return content
        return content | {"model": masks_in(content["masks"]).model}

    @property
    def patients(self) -> frozenset[str]:
        """Whose images the model was trained on, as hashes."""
        return masks_in(self.masks).patients

    def __call__(self, image: Image) -> Image:
        """Return what the mask shows, in the type that the image had."""
        mask = self._masks().of(image)
        return keep(image, mask, self.fill_hu, self.margin_mm if self.crop else None, self.step)

    def with_masks(self, folder: Path) -> Self:
        """Return the step with the masks of another folder.

        Raises:
            BadData: There are no masks there, or another model made them.
        """
        moved = self.replaced(masks=str(folder))
        moved._masks()  # noqa: SLF001  (its own kind)
        return moved

    def _masks(self) -> Masks:
        masks = masks_in(self.masks)
        if masks.model != self.model:
            raise BadData(
                "the masks in this folder were made by another model than those that the study was planned with",
                where=self.masks,
                remedy="put the old ones back, or delete `model` from the step and plan anew",
            )
        return masks
