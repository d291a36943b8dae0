"""Every image once more: small and grey for the search for near duplicates, and what it carries besides the finding."""

from __future__ import annotations

from collections.abc import Sequence
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
from grandrounds.formats import Part
from grandrounds.formats.abreast import ALONE, Crew
from grandrounds.formats.reading import crop
from grandrounds.geometry import plane_across
from grandrounds.image import Image

EDGE_PX = 64
_CLIPPED = 1.0  # percent of the pixels at either end
_EACH = 16  # files a piece
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


class _Place(NamedTuple):
    """Where some samples lie: boxes of one file, or a volume in several.

    Args:
        samples: Their names.
        boxes: Where in the image each is; None for all of it.
        parts: The file, or the slices of a volume.
    """

    samples: Sequence[str]
    boxes: Sequence[Sequence[int] | None]
    parts: Sequence[Part]


class _Glance(NamedTuple):
    """One sample at a glance."""

    grey: Grey
    plane: str | None
    traces: dict[str, str | float | None]


def glances(dataset: Dataset, progress: Progress | None = None, crew: Crew = ALONE) -> Glances:
    """Return a small grey picture of every sample that can still be read; each file is read once.

    Args:
        dataset: The samples.
        progress: Called with the number of files read and of all.
        crew: Who reads side by side where there is enough to read.
    """
    places = _places(dataset.files)
    seen: list[_Glance] = []
    for n_done, piece in enumerate(crew.abreast(_seen, places, n_each=_EACH), start=1):
        seen += piece
        if progress is not None:
            progress(min(n_done * _EACH, len(places)), len(places))
    pictures = np.stack([one.grey for one in seen]) if seen else np.zeros((0, EDGE_PX, EDGE_PX), np.uint8)
    traces = pl.DataFrame([one.traces for one in seen], schema=TRACES)
    return Glances(tuple(traces["sample"]), pictures, tuple(one.plane for one in seen), traces)


def plane_of(direction: tuple[float, ...] | None) -> str | None:
    """Return the plane of rows and columns by the axis its normal lies along; oblique if none within about 25°.

    >>> plane_of((1, 0, 0, 0, 1, 0))
    'axial'

    Reference: DICOM PS3.3 C.7.6.2.1.1, Image Orientation (Patient) (0020,0037).
    """
    if direction is None or len(direction) < 6:
        return None
    return plane_across(np.cross(direction[:3], direction[3:6]))


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


def _places(files: pl.DataFrame) -> list[_Place]:
    """Return where to look: each file once, and each volume that lies in several; of several series the first."""
    several = pl.len().over("sample") > 1
    single = files.filter(~several).group_by("path", "member", "frame", maintain_order=True).agg("sample", "box")
    places = [
        _Place(samples, boxes, (Part(Path(path), member, frame),))
        for path, member, frame, samples, boxes in single.iter_rows()
    ]
    slices = files.filter(several).sort("order", maintain_order=True)
    slices = slices.filter(pl.col("series").eq_missing(pl.col("series").first().over("sample")))
    for (sample,), part in slices.group_by("sample", maintain_order=True):
        rows = part.select("path", "member", "frame").iter_rows()
        places.append(
            _Place((str(sample),), (None,), [Part(Path(path), member, frame) for path, member, frame in rows])
        )
    return places


def _seen(places: Sequence[_Place]) -> list[_Glance]:
    """Return the samples of some places, without those that can no longer be read."""
    found: list[_Glance] = []
    for samples, boxes, parts in places:
        try:
            image = (
                formats.read_stack(parts)
                if len(parts) > 1
                else formats.read(parts[0].path, member=parts[0].member, frame=parts[0].frame)
            )
        except BadData:
            continue
        for sample, box in zip(samples, boxes, strict=True):
            one = image if box is None else crop(image, tuple(box))
            traces = {"sample": sample, **traces_of(one)}
            found.append(_Glance(squared(one), plane_of(one.geometry.direction), traces))
    return found
