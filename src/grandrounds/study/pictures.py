"""Example pictures for the report: small PNGs of what the families really read.

The report embeds them by sample id and never opens an image itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.formats.picture import save_png
from grandrounds.prepare import PreparedArray
from grandrounds.seeds import derive
from grandrounds.shapes import Batch
from grandrounds.specs import digest

PER_CLASS = 6
OF_EACH_KIND = 12  # worst errors of a family, and suspect labels, that the report shows with their picture
EDGE_PX = 96  # shorter images are enlarged by whole pixels, so that a pixel stays visible


def write(
    folder: Path,
    samples: pl.DataFrame,
    labels: pl.DataFrame,
    prepared: PreparedArray,
    seed: int,
    wrongly: Sequence[str] = (),
) -> Path:
    """Write a few pictures per class, of as many patients as there are, and those of some samples; return the folder.

    Args:
        folder: Where they go.
        samples: Table `samples`, in the order of the prepared images.
        labels: Table `labels`.
        prepared: What the families read.
        seed: Of the choice of examples.
        wrongly: Samples that are shown for how they were read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = samples.with_row_index("row").join(labels, on="case").filter(pl.col("label").is_not_null())
    rows = known.sample(fraction=1.0, shuffle=True, seed=derive(seed, "pictures"))
    rows = rows.with_columns(turn=pl.int_range(pl.len()).over("label", "patient"))
    chosen = rows.sort("turn", maintain_order=True).group_by("label", maintain_order=True).head(PER_CLASS)
    index: dict[str, dict[str, str]] = {}
    for kind, part in (("examples", chosen), ("wrongly", known.filter(pl.col("sample").is_in(list(wrongly))))):
        for row in part.iter_rows(named=True):
            name = f"{digest(row['sample'])}.png"
            save_png(folder / name, _picture(prepared.pixels[row["row"]]))
            index.setdefault(kind, {})[row["sample"]] = name
    with tables.atomic(folder / "index.json") as temporary:
        temporary.write_text(json.dumps(index, indent=2), encoding="utf-8")
    shown = {name for kind in index.values() for name in kind.values()}
    for earlier in folder.glob("*.png"):
        if earlier.name not in shown:
            earlier.unlink()
    return folder


def to_show(suspects: pl.DataFrame, families: Collection[str | None]) -> list[str]:
    """Return the samples whose pictures a report needs: suspect labels, and the worst errors of these families."""
    of_them = pl.col("family").is_null() | pl.col("family").is_in([one for one in families if one is not None])
    return suspects.filter(of_them, pl.col("rank") <= OF_EACH_KIND)["sample"].unique(maintain_order=True).to_list()


def _picture(pixels: Batch) -> NDArray[np.uint8]:
    """Return (C, H, W) in 0 to 1, or the middle slice of (C, D, H, W), in 8 bits, (H, W) or (H, W, 3)."""
    pixels = pixels[:, pixels.shape[1] // 2] if pixels.ndim == 4 else pixels  # (C, H, W)
    pixels = pixels if len(pixels) in (1, 3) else pixels[:1]  # of several series the first
    grey = np.clip(np.moveaxis(pixels, 0, -1), 0, 1)  # (H, W, C)
    image: NDArray[np.uint8] = (grey * 255).round().astype(np.uint8)
    zoom = max(1, EDGE_PX // max(image.shape[:2]))
    image = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return image if image.shape[2] == 3 else image[:, :, 0]
