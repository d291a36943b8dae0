"""Masks that a trained model made before: a table, a file for each image, and whose images the model learned from.

An image is known by the hash of its pixels, so that a mask is only ever put on the image that it was made for, whatever
samples or files are called. What decides a mask is the model and the image: the folder may grow, and masks in it never
change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.image import Image, pixel_hash

TABLE, MODEL = "masks.parquet", "model"
_REMEDY = "make them anew: grandrounds mask DATA -o FOLDER"
Mask = NDArray[np.bool_]  # an image's space


class Place(NamedTuple):
    """Where the mask of an image lies, relative to the table, and the hash of what it holds."""

    path: str
    mask_sha256: str


@dataclass(frozen=True, slots=True)
class Masks:
    """A folder of masks.

    Args:
        folder: Where the table lies.
        model: Hash of the model that made them.
        patients: Whom it was trained on, as `tables.patient_hashes` gives them.
        places: The mask of each image, by the hash of its pixels.
    """

    folder: Path
    model: str
    patients: frozenset[str]
    places: Mapping[str, Place]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the masks in a folder.

        Raises:
            BadData: There are none, or the table is damaged.
        """
        if not (folder / TABLE).is_file():
            raise BadData("there are no masks here", where=folder, remedy=_REMEDY)
        frame, meta = tables.read(tables.MASKS, folder / TABLE)
        if not {"model", "patients"} <= meta.keys():
            raise BadData("the table does not say which model made the masks", where=folder / TABLE, remedy=_REMEDY)
        places = {sha256: Place(path, mask) for sha256, path, mask in frame.select(*_PLACE).iter_rows()}
        return cls(folder, str(meta["model"]), frozenset(meta["patients"]), places)

    def of(self, image: Image) -> Mask:
        """Return the mask of an image, in its space.

        Raises:
            BadData: None was made for it, or its file is not what the table says.
        """
        place = self.places.get(pixel_hash(image))
        if place is None:
            raise BadData(
                "no mask was made for this image, or a step before changed its pixels",
                remedy=f'put "masked" before all other steps of `whole` but "hounsfield", and make the mask that is '
                f"missing: grandrounds mask DATA -o {self.folder}",
            )
        path = self.folder / place.path
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                packed, space = stored["mask"], tuple(int(side) for side in stored["space"])
        except tables.UNREADABLE:
            raise BadData("the mask of this image cannot be read", where=path, remedy=_REMEDY) from None
        if _hash(packed, space) != place.mask_sha256 or space != image.space:
            raise BadData("the mask of this image is not what the table says", where=path, remedy=_REMEDY)
        mask: Mask = np.unpackbits(packed, count=int(np.prod(space))).reshape(space).astype(np.bool_)
        return mask


_PLACE = ("sha256", "path", "mask_sha256")


def save(folder: Path, image: Image, mask: Mask) -> dict[str, object]:
    """Write the mask of an image and return its row of the table, but for the sample's name."""
    sha256 = pixel_hash(image)
    path = Path("masks") / f"{sha256[:32]}.npz"
    packed = np.packbits(mask)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with tables.atomic(folder / path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, mask=packed, space=np.array(mask.shape))
    return {
        "sha256": sha256,
        "path": path.as_posix(),
        "mask_sha256": _hash(packed, mask.shape),
        "share": float(mask.mean()),
    }


def write(folder: Path, rows: pl.DataFrame, model: str, patients: frozenset[str]) -> Path:
    """Write the table, with what a folder of the same model had before, and return its file.

    Raises:
        BadData: The folder holds masks of another model.
    """
    path = folder / TABLE
    if path.exists():
        before, meta = tables.read(tables.MASKS, path)
        if meta.get("model") != model:
            raise BadData("the folder holds masks of another model", where=folder, remedy="name another folder with -o")
        rows = pl.concat([before, tables.check(rows, tables.MASKS)]).unique(
            list(tables.MASKS.key), keep="last", maintain_order=True
        )
    return tables.write(rows, tables.MASKS, path, {"model": model, "patients": sorted(patients)})


def masks_in(folder: str) -> Masks:
    """Return the masks in a folder, read anew only where the table has changed.

    Raises:
        BadData: There are none.
    """
    path = Path(folder).expanduser() / TABLE
    changed_ns = path.stat().st_mtime_ns if path.exists() else 0
    return _loaded(path.parent, changed_ns)


@lru_cache(maxsize=4)
def _loaded(folder: Path, _changed_ns: int) -> Masks:
    return Masks.load(folder)


def _hash(packed: NDArray[np.uint8], space: tuple[int, ...]) -> str:
    return hashlib.sha256(str(space).encode() + packed.tobytes()).hexdigest()
