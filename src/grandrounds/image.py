"""An image in memory: pixels with channels first, and where they lie in space.

`Geometry` can be computed and tested without pixels. Two- and three-dimensional images differ in the length of
`spacing_mm`, not by a fake axis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from grandrounds.errors import BadData
from grandrounds.shapes import Pixels


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the pixels lie in space.

    Args:
        spacing_mm: Distance between neighbouring pixels along each axis of space, (row, column) or (slice, row,
            column); None where the file does not say.
        origin_mm: Patient position of the first pixel (DICOM (0020,0032), PS3.3 C.7.6.2); None where unknown.
        direction: Cosines along a row, then along a column (DICOM (0020,0037), six numbers); for a volume three more
            from slice to slice. Patient axes are left, posterior, superior. None where unknown.
    """

    spacing_mm: tuple[float, ...] | None = None
    origin_mm: tuple[float, float, float] | None = None
    direction: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """Pixels (C, H, W) or (C, D, H, W) with their geometry, their unit and what the header said.

    Args:
        pixels: The array, channels first.
        geometry: Where it lies.
        unit: `"hu"` for Hounsfield units, `"grey"` for anything else.
        modality: DICOM modality code such as `"CT"`; None where unknown.
        header: Allow-listed facts of the header under our column names (`patient`, `site`, …), and how the file stores
            the image (`format`, `compression`, …), which is no column of any table.
    """

    pixels: Pixels
    geometry: Geometry = Geometry()
    unit: str = "grey"
    modality: str | None = None
    header: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.pixels.ndim not in (3, 4):
            raise BadData(
                f"an image has the shape (C, H, W) or (C, D, H, W), this array has {self.pixels.shape}",
                remedy="give one image per file, with at most one channel axis",
            )

    @property
    def space(self) -> tuple[int, ...]:
        """The lengths of the axes of space, (H, W) or (D, H, W)."""
        return self.pixels.shape[1:]

    @property
    def colours(self) -> str:
        """`"grey"`, `"grey as RGB"` where three channels say the same, `"RGB"`, or how many channels there are."""
        n_channels = len(self.pixels)
        if n_channels != 3:
            return "grey" if n_channels == 1 else f"{n_channels} channels"
        red, green, blue = self.pixels
        return "grey as RGB" if np.array_equal(red, green) and np.array_equal(red, blue) else "RGB"

    @property
    def is_finite(self) -> bool:
        """Whether every pixel is a number."""
        return self.pixels.dtype.kind in "biu" or bool(np.isfinite(self.pixels).all())


def pixel_hash(image: Image) -> str:
    """Return the SHA-256 of the decoded pixels with their shape and type: equal for equal images, not equal files.

    A grey that is stored in red, green and blue has the hash of that grey, for it is the same image to every leak.
    """
    pixels = np.ascontiguousarray(image.pixels[:1] if image.colours == "grey as RGB" else image.pixels)
    content = hashlib.sha256(f"{pixels.shape}{pixels.dtype.newbyteorder('<').str}".encode())
    content.update(pixels.data)
    return content.hexdigest()


def geometry_hash(image: Image) -> str | None:
    """Return the SHA-256 of where the pixels lie and of their unit; None where the file says nothing of either.

    Spacing counts to six digits, position and cosines to four decimals, so that a file and its lossless conversion have
    one hash.
    """
    if image.geometry == Geometry() and image.unit == "grey":
        return None
    spacing = [f"{length_mm:.6g}" for length_mm in image.geometry.spacing_mm or ()]
    place = [
        [f"{round(number, 4) + 0.0:.4f}" for number in numbers or ()]  # + 0.0: there is no minus nought
        for numbers in (image.geometry.origin_mm, image.geometry.direction)
    ]
    return hashlib.sha256(repr([spacing, *place, image.unit]).encode()).hexdigest()
