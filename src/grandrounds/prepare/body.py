"""Steps that find the body or joint: what Otsu's threshold tells from the background."""

# mypy: disable-error-code="no-untyped-call"
# scikit-image's functions carry no types; what comes out of them here is annotated.
from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from skimage.filters import threshold_otsu

from grandrounds.image import Image
from grandrounds.prepare.space import window
from grandrounds.prepare.step import Step

_Body = NDArray[np.bool_]  # an image's space


class OtsuCrop(Step):
    """The box about the largest connected part that is brighter than Otsu's threshold; darker holes belong to it.

    An image of one grey value stays whole.

    Args:
        margin_px: Pixels kept around the box in each plane, as far as the image goes.
        remove: Whether what lies outside that part becomes as dark as the darkest pixel of the image.
        bright_background: Whether the background is the brighter one, as on a stained slide.
    """

    step: Literal["otsu_crop"] = "otsu_crop"
    margin_px: int = Field(default=4, ge=0)
    remove: bool = True
    bright_background: bool = False

    def __call__(self, image: Image) -> Image:
        """Return the box, in the type that the image had."""
        body = body_of(image, bright_background=self.bright_background)
        if body is None:
            return image
        pixels = image.pixels
        if self.remove:
            background = pixels.max() if self.bright_background else pixels.min()
            pixels = np.where(body, pixels, background)
        # Slices beyond the body tell nothing, so only rows and columns get a margin.
        margins = (0,) * (body.ndim - 2) + (self.margin_px,) * 2
        boxes = [
            (max(0, one.start - margin), min(length, one.stop + margin))
            for one, margin, length in zip(_box(body), margins, body.shape, strict=True)
        ]
        starts, sizes = [start for start, _ in boxes], [stop - start for start, stop in boxes]
        return window(dataclasses.replace(image, pixels=pixels), starts, sizes, 0)


class Center(Step):
    """The body or joint, found as by `otsu_crop`, is moved by whole pixels to the middle of an image of the same size.

    Args:
        value: Grey value of what comes in at the edge, in the unit that the image has at this step.
        bright_background: Whether the background is the brighter one.
    """

    step: Literal["center"] = "center"
    value: float = 0.0
    bright_background: bool = False

    def __call__(self, image: Image) -> Image:
        """Return the image with the middle of the body in its middle; slices stay where they are."""
        body = body_of(image, bright_background=self.bright_background)
        if body is None:
            return image
        starts = [
            0 if axis < body.ndim - 2 else (one.start + one.stop - length) // 2
            for axis, (one, length) in enumerate(zip(_box(body), body.shape, strict=True))
        ]
        return window(image, starts, image.space, self.value)


def body_of(image: Image, *, bright_background: bool = False) -> _Body | None:
    """Return the largest connected part on the other side of Otsu's threshold than the background; None: one value.

    Otsu, IEEE Trans SMC 1979;9:62. Channels are averaged; holes are filled plane by plane.
    """
    grey = image.pixels.astype(np.float32).mean(axis=0)  # an image's space
    if grey.min() == grey.max():
        return None
    threshold: float = threshold_otsu(grey)
    body = largest(grey < threshold if bright_background else grey > threshold)
    planes = [ndimage.binary_fill_holes(plane) for plane in body.reshape(-1, *body.shape[-2:])]
    return np.stack(planes).reshape(body.shape)  # as it came


def largest(mask: _Body) -> _Body:
    """Return the largest part of a mask whose pixels touch by a side; the first of equals."""
    parts, n_parts = ndimage.label(mask)
    if n_parts < 2:
        return mask
    found: _Body = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return found


def _box(mask: _Body) -> tuple[slice, ...]:
    return ndimage.find_objects(mask.astype(np.uint8))[0]
