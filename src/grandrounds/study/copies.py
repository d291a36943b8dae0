"""Which images from elsewhere are nearly the same as one that had a part in a study: as both are prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from grandrounds import tables
from grandrounds.data.glance import Grey, squared
from grandrounds.data.near import MOST_IMAGES, copies_between
from grandrounds.errors import BadData
from grandrounds.image import Image
from grandrounds.prepare import PreparedArray
from grandrounds.shapes import Images
from grandrounds.splits import SplitPlan
from grandrounds.study.job import Trial
from grandrounds.wording import many

FILE: Final = "copies.parquet"
_GONE = "Nearly identical images are not looked for: the study's prepared images are gone, or there are too many."


def had_a_part(run: Path) -> pl.DataFrame:
    """Return table `samples` of a run as far as they had a role in it, with the row of each among all, `row`."""
    plan = SplitPlan.load(run / "splits.parquet")
    samples = tables.read(tables.SAMPLES, run / "samples.parquet").frame.with_row_index("row")
    return samples.filter(pl.col("case").is_in(plan.table["case"].unique().implode()))


def copies(run: Path, names: pl.Series, pixels: Images) -> pl.DataFrame | None:
    """Return table `copies`: images that are nearly the same as one of the study; None where that cannot be told.

    Args:
        run: A run folder, whose prepared images may be gone.
        names: What the other images are called, (N,).
        pixels: The other images, prepared as those of the study were, (N, C, H, W) or (N, C, D, H, W).
    """
    known, prepared = had_a_part(run), _prepared(run)
    if prepared is None or max(known.height, len(names)) > MOST_IMAGES:
        return None
    own = _grey(prepared.stored(known["row"].to_numpy()))
    content = [
        (names[found.one], known["sample"][found.other], *found.turn, found.correlation)
        for found in copies_between(_grey(pixels), own)
    ]
    frame = pl.DataFrame(content, schema=dict(tables.COPIES.columns), orient="row")
    return tables.check(frame, tables.COPIES)


def in_words(found: pl.DataFrame | None, n_images: int) -> str:
    """Return what a reader must know of it."""
    if found is None:
        return _GONE
    if found.is_empty():
        return "None is nearly the same as an image of the study."
    first = found.row(0, named=True)
    return (
        "Nearly the same as an image of the study (another crop, window, compression, size or turn of it): "
        f"{found.height} of {many(n_images, 'image')}; the first, {first['sample']}, looks like {first['like']}, and "
        f"{FILE} lists all. They flatter a model that learned from them."
    )


def _prepared(run: Path) -> PreparedArray | None:
    """Return what the families of a run read; None where it is no longer there."""
    for trial in tables.read(tables.TRIALS, run / "trials.parquet").frame["trial"]:
        kept = run / "trials" / trial / "trial.json"
        if kept.exists():
            name = f"{Trial.model_validate_json(kept.read_text(encoding='utf-8')).prepared}.npy"
            # That of one of several tasks lies beside the folders of them all.
            places = (home / "prepared" / name for home in (run, run.parent))
            return next((found for place in places if (found := _load(place)) is not None), None)
    return None


def _load(path: Path) -> PreparedArray | None:
    try:
        return PreparedArray.load(path)
    except BadData:
        return None


def _grey(pixels: Images) -> Grey:
    return np.stack([squared(Image(np.asarray(pixels[row : row + 1])[0])) for row in range(len(pixels))])
