"""Every image once more: small and grey for the search for near duplicates, and what it carries besides the finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import formats
from grandrounds.data.dataset import Dataset
from grandrounds.data.draft import Progress
from grandrounds.data.traces import TRACES, traces_of
from grandrounds.errors import BadData
from grandrounds.formats.reading import crop
from grandrounds.image import Image

EDGE_PX = 64
_CLIPPED = 1.0  # percent of the pixels at either end
_STRAIGHT = 0.9  # cosine to the nearest axis of the body
_MOST_MEASURED = 1 << 16  # pixels; more do not change a percentile

Grey = NDArray[np.uint8]


class Glances(NamedTuple):
    """Small grey pictures of the samples.

    Args:
        samples: Their names.
        grey: (N, 64, 64), each stretched between its own 1st and 99th percentile; proportions are not kept.
        planes: How each lies in the body; None where the file does not say.
        traces: What each carries besides the finding, by the columns of `traces.TRACES`.
    """

    samples: tuple[str, ...]
    grey: Grey
    planes: tuple[str | None, ...]
    traces: pl.DataFrame = pl.DataFrame(schema=TRACES)


def glances(dataset: Dataset, progress: Progress | None = None) -> Glances:
    """Return a small grey picture of every sample that can still be read; each file is read once."""
    names: list[str] = []
    planes: list[str | None] = []
    traces: list[dict[str, str | float | None]] = []
    pictures = np.zeros((dataset.samples.height, EDGE_PX, EDGE_PX), np.uint8)
    for n_done, (name, image) in enumerate(_images(dataset)):
        if image is not None:
            pictures[len(names)] = squared(image)
            names.append(name)
            planes.append(plane_of(image.geometry.direction))
            traces.append({"sample": name, **traces_of(image)})
        if progress is not None:
            progress(n_done + 1, dataset.samples.height)
    return Glances(tuple(names), pictures[: len(names)], tuple(planes), pl.DataFrame(traces, schema=TRACES))


def plane_of(direction: tuple[float, ...] | None) -> str | None:
    """Return the plane of rows and columns by the axis its normal lies along; oblique if none within about 25°.

    >>> plane_of((1, 0, 0, 0, 1, 0))
    'axial'

    Reference: DICOM PS3.3 C.7.6.2.1.1, Image Orientation (Patient) (0020,0037).
    """
    if direction is None or len(direction) < 6:
        return None
    normal = np.abs(np.cross(direction[:3], direction[3:6]))
    axis = int(normal.argmax())
    return ("sagittal", "coronal", "axial")[axis] if normal[axis] > _STRAIGHT else "oblique"


def squared(image: Image, edge_px: int = EDGE_PX) -> Grey:
    """Return an image as a grey square."""
    picture = stretched(image)
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    shrinks = max(grey.shape) > edge_px
    size = (edge_px, edge_px)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), np.uint8)


def stretched(image: Image) -> Grey:
    """Return (H, W) or (H, W, 3) in 8 bits: a volume's middle slice, dark and bright at the 1st and 99th percentile."""
    pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[:, image.pixels.shape[1] // 2]  # (C, H, W)
    pixels = np.moveaxis(pixels, 0, -1) if pixels.shape[0] == 3 else pixels[0]
    plane = np.ascontiguousarray(pixels, dtype=np.float32)
    measured = plane.ravel()[:: max(1, plane.size // _MOST_MEASURED)]
    low, high = (float(end) for end in np.percentile(measured, (_CLIPPED, 100 - _CLIPPED)))
    if high <= low:
        return np.zeros(plane.shape, np.uint8)
    levels: Grey = np.rint(np.clip((plane - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return levels


def _images(dataset: Dataset) -> Iterator[tuple[str, Image | None]]:
    """Yield each sample with its image, None where its file has become unreadable; boxes of one file in one go."""
    counted = dataset.files.with_columns(n_files=pl.len().over("sample"))
    single = counted.filter(pl.col("n_files") == 1)
    for path, member, frame, names, boxes in (
        single.group_by("path", "member", "frame", maintain_order=True).agg("sample", "box").iter_rows()
    ):
        try:
            image = formats.read(Path(path), member=member, frame=frame)
        except BadData:
            yield from ((name, None) for name in names)
            continue
        for name, box in zip(names, boxes, strict=True):
            yield name, image if box is None else crop(image, tuple(box))
    for name in counted.filter(pl.col("n_files") > 1)["sample"].unique(maintain_order=True):
        try:
            yield name, dataset.load(name)
        except BadData:
            yield name, None
