"""Masks of a set of images, by the model in their folder or one that is trained there first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import data, prepare
from grandrounds.data import Dataset, SourceOptions
from grandrounds.errors import BadData
from grandrounds.formats.picture import save_png
from grandrounds.image import Image
from grandrounds.masking.model import MaskSpec, Model, Watch, is_there, read, trained
from grandrounds.masking.sheet import sheet, tile
from grandrounds.prepare import artefact

PICTURE = "look.png"
_TILES = 12


@dataclass(frozen=True, slots=True)
class Made:
    """What came of making masks: where they are, by which model, how many images, how much of them is lung."""

    folder: Path
    model: Model
    n_images: int
    share: float


def make(
    source: str | Path, folder: Path, options: SourceOptions | None = None, spec: MaskSpec | None = None,
    *, hounsfield: bool = False, names: bool = False, cache: Path | None = None, watch: Watch | None = None,
) -> Made:  # fmt: skip
    """Find the lungs in a set of chest CT, with the model in the folder or one that is trained there first.

    Args:
        source: A path, or the name of a set.
        folder: Where masks and model go; masks of other images by the same model stay.
        options: How the source is read.
        spec: How the model is made where there is none yet; None for the defaults.
        hounsfield: Whether pixels are Hounsfield units although the files cannot say so.
        names: Whether samples keep their names in the table, which may tell who somebody is.
        cache: Where sets that grandrounds makes are kept.
        watch: Told how far it is.

    Raises:
        BadData: The images are no CT, or a file is damaged; before anything is trained if the first image shows it.
    """
    tell = watch or (lambda _what, _done, _all: None)
    opened = data.open_dataset(source, options, cache=cache, progress=partial(tell, "Reading every image"))
    _refuse_no_ct(opened, hounsfield=hounsfield)
    home = folder / artefact.MODEL
    model = read(home) if is_there(home) else trained(spec or MaskSpec(), home, tell)
    rows, tiles = list[dict[str, object]](), list[NDArray[np.uint8]]()
    whole = replace(opened, files=opened.files.with_columns(box=pl.lit(None, dtype=opened.files.schema["box"])))
    groups = _images(whole)
    for done, (first, samples) in enumerate(groups, start=1):
        image = _stated(whole.load(first), hounsfield=hounsfield)
        mask = model.lungs(image)
        row = artefact.save(folder, image, mask)
        rows += [{"sample": name, **row} for name in samples]
        if len(tiles) < _TILES and done % max(1, len(groups) // _TILES) == 0:
            tiles.append(tile(image, mask))
        tell("Finding lungs", done, len(groups))
    frame = pl.DataFrame(rows)
    if not (names or opened.simulated):
        frame = frame.with_columns(sample=pl.format("image-{}", pl.int_range(1, pl.len() + 1)))
    artefact.write(folder, frame, model.hash, frozenset(model.facts.patients))
    save_png(folder / PICTURE, sheet(tiles))
    return Made(folder, model, len(groups), frame.select(pl.col("share").mean()).item())


def _images(opened: Dataset) -> list[tuple[str, list[str]]]:
    """Return a sample of each image, and all that are cut from it, whose files are then read as a whole."""
    places = pl.struct("path", "member", "frame")
    by_sample = opened.files.group_by("sample", maintain_order=True).agg(places)
    groups = by_sample.group_by("path", maintain_order=True).agg("sample")
    return [(names[0], names) for names in groups["sample"].to_list()]


def _refuse_no_ct(opened: Dataset, *, hounsfield: bool) -> None:
    encodings = set(opened.samples["encoding"].drop_nulls())
    if not hounsfield and encodings != {"hu"}:
        raise BadData(
            f"lungs are found by Hounsfield units, and these images are stored as {', '.join(sorted(encodings))}",
            where=opened.root,
            remedy="state it with --hounsfield if they are CT all the same, as NIfTI and NRRD files cannot say it",
        )


def _stated(image: Image, *, hounsfield: bool) -> Image:
    return prepare.build_step({"step": "hounsfield"})(image) if hounsfield else image
