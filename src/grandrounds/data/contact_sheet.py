"""A contact sheet: a few small pictures of every class, dealt over patients by a seed; nobody picks the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import polars as pl

from grandrounds.data.dataset import Dataset
from grandrounds.data.glance import Grey, stretched
from grandrounds.errors import BadData
from grandrounds.formats.dicom_display import display
from grandrounds.formats.reading import format_of
from grandrounds.image import Image
from grandrounds.seeds import derive

EDGE_PX = 144
PER_CLASS, MOST_PICTURES, MOST_CLASSES = 10, 240, 60
UNKNOWN = "label unknown"
MOST_BYTES = 1_400_000  # of all pictures; a page carries them as text, a third longer
_QUALITY = 85


class Picture(NamedTuple):
    """One sample as a small JPEG."""

    sample: str
    jpeg: bytes


def contact_sheet(dataset: Dataset, seed: int = 0) -> Mapping[str, tuple[Picture, ...]]:
    """Return a few pictures of each class, and of no known class, of as many patients as there are."""
    rows = dataset.samples.select("sample", "case", "patient")
    rows = rows.join(dataset.labels, on="case", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("label").fill_null(UNKNOWN))
    rows = rows.sample(fraction=1.0, shuffle=True, seed=derive(seed, "contact sheet"))
    rows = rows.with_columns(turn=pl.int_range(pl.len()).over("label", "patient")).sort("turn", maintain_order=True)
    classes = [*dataset.task.classes[:MOST_CLASSES], *([UNKNOWN] if UNKNOWN in rows["label"] else [])]
    n_each = max(2, min(PER_CLASS, MOST_PICTURES // len(classes)))
    chosen = {label: rows.filter(pl.col("label") == label)["sample"].head(n_each).to_list() for label in classes}
    made = pictures(dataset, [sample for samples in chosen.values() for sample in samples], MOST_BYTES)
    return {
        label: tuple(Picture(sample, made[sample]) for sample in samples if sample in made)
        for label, samples in chosen.items()
    }


def pictures(dataset: Dataset, samples: Iterable[str], most_bytes: int) -> dict[str, bytes]:
    """Return small JPEGs by sample, until the bytes are spent; what cannot be read any more is left out."""
    made: dict[str, bytes] = {}
    n_bytes = 0
    for sample in samples:
        try:
            image = dataset.load(sample)
        except BadData:
            continue
        jpeg = _jpeg(_fitted(_shown(dataset, sample, image), _proportions(image)))
        n_bytes += len(jpeg)
        if n_bytes > most_bytes:
            break
        made[sample] = jpeg
    return made


def _shown(dataset: Dataset, sample: str, image: Image) -> Grey:
    """Return the picture as a DICOM file of its own wants it shown, or stretched where none says how."""
    path, *parts = dataset.files.filter(pl.col("sample") == sample).select("path", "member", "frame", "box").row(0)
    try:
        if len(image.space) == 2 and not any(parts) and format_of(Path(path)).name == "dicom":
            shown = display(Path(path))
            return stretched(image) if shown is None else np.rint(shown[0] * 255).astype(np.uint8)
    except BadData:
        pass
    return stretched(image)


def _proportions(image: Image) -> float:
    """Return how tall a pixel is for its width; 1 where the spacing is unknown."""
    spacing = image.geometry.spacing_mm
    return 1.0 if spacing is None or min(spacing[-2:]) <= 0 else spacing[-2] / spacing[-1]


def _fitted(picture: Grey, tallness: float) -> Grey:
    """Return the picture shrunk to the sheet, or enlarged by whole pixels so that a pixel stays visible."""
    height, width = picture.shape[0] * min(max(tallness, 0.25), 4.0), picture.shape[1]
    factor = EDGE_PX / max(height, width)
    factor = float(np.floor(factor)) if factor >= 1 else factor
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _jpeg(picture: Grey) -> bytes:
    picture = picture if picture.ndim == 2 else np.ascontiguousarray(picture[:, :, ::-1])  # OpenCV writes blue first
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
