"""Features of single images, kept on the disk, so that no image goes through the same network twice.

What is kept was learned from no image of the set: it may cross folds as prepared pixels do.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from grandrounds import tables
from grandrounds.shapes import Batch, Features


def kept(folder: Path | None, key: str, pixels: Batch, compute: Callable[[Batch], Features]) -> Features:
    """Return (N, any) features of images, computing only those that the folder does not hold yet.

    Args:
        folder: Made if absent; None keeps nothing.
        key: What computes them, with every setting; features of another key are not looked at.
        pixels: (N, …) images.
        compute: Gives the features of some of the images.
    """
    if folder is None or not len(pixels):
        return compute(pixels)
    path = folder / f"{key}.npz"
    names = np.array(
        [hashlib.blake2b(np.ascontiguousarray(one).tobytes(), digest_size=16).hexdigest() for one in pixels]
    )
    known_names, known = _read(path)
    missing = ~np.isin(names, known_names)
    if missing.any():
        first = np.flatnonzero(missing)[np.unique(names[missing], return_index=True)[1]]
        computed = compute(pixels[first])
        known = np.concatenate([known, computed]) if len(known_names) else computed
        known_names = np.concatenate([known_names, names[first]])
        _write(path, known_names, known)
    order = np.argsort(known_names)
    found: Features = known[order[np.searchsorted(known_names, names, sorter=order)]]
    return found


def _read(path: Path) -> tuple[np.ndarray, Features]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return stored["names"], stored["features"]
    except tables.UNREADABLE:  # not there yet, or half of it: then it is computed anew
        return np.array([], dtype="<U32"), np.empty((0, 0), np.float32)


def _write(path: Path, names: np.ndarray, features: Features) -> None:
    content = io.BytesIO()
    np.savez(content, names=names, features=features)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tables.atomic(path) as temporary:
        temporary.write_bytes(content.getvalue())
