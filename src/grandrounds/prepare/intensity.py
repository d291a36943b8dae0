"""Steps that change grey values and colours pixel by pixel: window, scale, percentiles, grayscale, rgb."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare.step import Step
from grandrounds.shapes import Pixels

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # of red, green, blue (ITU-R BT.601)
_WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
_Percent = Annotated[float, Field(ge=0, le=100)]


class Window(Step):
    """Hounsfield units between two limits become 0 to 1; what lies beyond is clipped.

    Args:
        low_hu: Becomes 0.
        high_hu: Becomes 1.
    """

    step: Literal["window"] = "window"
    low_hu: float = -1000.0
    high_hu: float = 400.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _require_increasing(self.low_hu, self.high_hu)
        return self

    def __call__(self, image: Image) -> Image:
        """Return the image in grey values from 0 to 1."""
        if image.unit != "hu":
            raise BadData(
                "a window needs Hounsfield units, and nothing says that these pixels are",
                remedy='use the step "scale" with low and high, or "percentiles"',
            )
        return dataclasses.replace(image, pixels=_stretched(image.pixels, self.low_hu, self.high_hu), unit="grey")


class Scale(Step):
    """Grey values become 0 to 1 by limits that are the same for every image; what lies beyond is clipped.

    Args:
        low: Becomes 0; None for 0.
        high: Becomes 1; None for the greatest value of an unsigned 8- or 16-bit type, and 1 for floats within 0 to 1.
    """

    step: Literal["scale"] = "scale"
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high is not None:
            _require_increasing(self.low or 0.0, self.high)
        return self

    @property
    def forgets_scale(self) -> bool:
        """Whether the type of the pixels sets the limits."""
        return self.high is None

    def __call__(self, image: Image) -> Image:
        """Return the image in grey values from 0 to 1."""
        low, high = self.low or 0.0, _greatest(image.pixels) if self.high is None else self.high
        if low >= high:
            raise BadData(
                f"grey values from {low:g} are wanted, and images of this type end at {high:g}",
                remedy='give the step "scale" both low and high',
            )
        return dataclasses.replace(image, pixels=_stretched(image.pixels, low, high), unit="grey")


class Percentiles(Step):
    """Grey values between two percentiles of the same image become 0 to 1; nothing crosses from image to image.

    Args:
        low_percent: Becomes 0.
        high_percent: Becomes 1.
    """

    step: Literal["percentiles"] = "percentiles"
    low_percent: _Percent = 0.5
    high_percent: _Percent = 99.5

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _require_increasing(self.low_percent, self.high_percent)
        return self

    @property
    def forgets_scale(self) -> bool:
        """Yes: each image has limits of its own."""
        return True

    def __call__(self, image: Image) -> Image:
        """Return the image in grey values from 0 to 1; an image of one value becomes 0."""
        low, high = np.percentile(image.pixels.astype(np.float32), [self.low_percent, self.high_percent])
        high = high if high > low else low + 1
        return dataclasses.replace(image, pixels=_stretched(image.pixels, float(low), float(high)), unit="grey")


class Grayscale(Step):
    """Red, green and blue become one channel of the same type; one channel stays as it is."""

    step: Literal["grayscale"] = "grayscale"

    def __call__(self, image: Image) -> Image:
        """Return the image with one channel."""
        n_channels = len(image.pixels)
        if n_channels == 1:
            return image
        _require_grey_or_rgb(n_channels)
        luma = np.tensordot(_LUMA, image.pixels.astype(np.float32), axes=1)[None]  # (1, H, W) or (1, D, H, W)
        whole = image.pixels.dtype.kind in "iu"
        return dataclasses.replace(image, pixels=(luma.round() if whole else luma).astype(image.pixels.dtype))


class Rgb(Step):
    """One channel becomes red, green and blue of the same value; three channels stay as they are."""

    step: Literal["rgb"] = "rgb"

    def __call__(self, image: Image) -> Image:
        """Return the image with three channels."""
        n_channels = len(image.pixels)
        if n_channels == len(_LUMA):
            return image
        _require_grey_or_rgb(n_channels)
        return dataclasses.replace(image, pixels=np.repeat(image.pixels, len(_LUMA), axis=0))  # (3, H, W), (3, D, H, W)


def _require_grey_or_rgb(n_channels: int) -> None:
    if n_channels not in (1, len(_LUMA)):
        raise BadData(
            f"{n_channels} channels are neither grey nor red, green and blue",
            remedy="leave the image out, or save one of its channels as an image",
        )


def _stretched(pixels: Pixels, low: float, high: float) -> Pixels:
    # The subtraction is done in float32: in the file's own type it could wrap around.
    scaled: NDArray[np.float32] = pixels.astype(np.float32)
    scaled -= np.float32(low)
    scaled /= np.float32(high - low)
    return scaled.clip(0, 1, out=scaled)


def _greatest(pixels: Pixels) -> float:
    if pixels.dtype in _WHITE:
        return _WHITE[pixels.dtype]
    if pixels.dtype == np.bool_ or (pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1):
        return 1.0
    raise BadData(
        f"pixels of the type {pixels.dtype} do not say what is black and what is white",
        remedy='give the step "scale" low and high, or use "percentiles"; "scale" stands before "resize"',
    )


def _require_increasing(low: float, high: float) -> None:
    if low >= high:
        raise ValueError(f"the lower limit {low:g} is not below the upper limit {high:g}")
