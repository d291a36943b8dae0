"""Volumes out of several files, and many frames out of one: each file is opened once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from grandrounds import registry
from grandrounds.errors import BadData
from grandrounds.formats.budget import check_size
from grandrounds.formats.places import of_slice, stacked
from grandrounds.formats.reading import format_of, read
from grandrounds.image import Image

_ARRAYS = (".npy", ".npz")
_FLAT = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")  # hold one image, and are not even opened to count
_PARALLEL = 1e-3  # largest difference of cosines between slices of one volume


def n_slices(path: Path) -> int | None:
    """Return how many slices or frames a file holds; None where reading it will find it flat or bad."""
    if path.suffix.lower() in _FLAT:
        return None
    try:
        entry = format_of(path)
        found: int | None = None if entry.slices is None else registry.load(entry.slices)(path)
    except Exception:  # noqa: BLE001  (whatever is wrong with it is said by whoever reads it)
        return None
    return found


class Part(NamedTuple):
    """Where one slice of a volume lies."""

    path: Path
    member: str | None = None
    frame: int | None = None


def read_frames(path: Path | str, *, member: str | None = None, frames: Sequence[int]) -> Iterator[Image]:
    """Yield frames of one file, in the order asked for; a file of many frames is decoded once if memory allows.

    Args:
        path: The file.
        member: Array or file inside an archive; None for a plain file.
        frames: Indices along the first axis.

    Raises:
        BadData: As `read`, or there is no such frame.
    """
    whole = _whole(Path(path), member) if len(frames) > 1 else None
    for frame in frames:
        if whole is None or not 0 <= frame < whole.space[0]:
            yield read(path, member=member, frame=frame)
        else:
            yield slice_of(whole, frame)


def _whole(path: Path, member: str | None) -> Image | None:
    """Return the volume in a file; None for arrays, whose frames are cheap, and for what is no volume or too large."""
    if path.suffix.lower() in _ARRAYS:
        return None
    try:
        whole = read(path, member=member)
    except BadData:
        return None
    return whole if len(whole.space) == 3 else None


def slice_of(volume: Image, frame: int) -> Image:
    """Return one slice (C, H, W) of a volume (C, D, H, W), lying where it lay."""
    return Image(volume.pixels[:, frame], of_slice(volume.geometry, frame), volume.unit, volume.modality, volume.header)


def as_volume(image: Image) -> Image:
    """Return a plane as a volume of one slice, (C, 1, H, W); a volume as it is."""
    if len(image.space) == 3:
        return image
    return Image(image.pixels[:, None], stacked([image.geometry]), image.unit, image.modality, image.header)


def read_stack(parts: Sequence[Part]) -> Image:
    """Return one volume (C, D, H, W) of slices in the order given.

    The distance of slices is the median of the distances between their positions along the normal. Where positions are
    not known it is None. Gaps are not refused here; whoever found the slices reports them.

    Raises:
        BadData: A slice cannot be read, or slices differ in size, channels, unit or direction.
    """
    if not parts:
        raise BadData("a volume needs at least one slice")
    first = read(*parts[0][:1], member=parts[0].member, frame=parts[0].frame)
    if len(parts) == 1 and len(first.space) == 3:
        return first
    if len(first.space) != 2:
        raise BadData(
            "a volume is stacked of planes, this file holds a volume itself",
            where=parts[0].path,
            remedy="name it by itself",
        )
    check_size((len(parts), *first.pixels.shape), first.pixels.dtype, parts[0].path)
    slices = [first, *(_alike(part, first) for part in parts[1:])]
    pixels = np.stack([one.pixels for one in slices], axis=1)  # (C, D, H, W)
    return Image(pixels, stacked([one.geometry for one in slices]), first.unit, first.modality, first.header)


def _alike(part: Part, first: Image) -> Image:
    image = read(part.path, member=part.member, frame=part.frame)
    ours, theirs = image.geometry.direction, first.geometry.direction
    differs = (
        f"{image.pixels.shape} pixels instead of {first.pixels.shape}"
        if image.pixels.shape != first.pixels.shape
        else f"the unit {image.unit} instead of {first.unit}"
        if image.unit != first.unit
        else "another direction"
        if (ours is None) != (theirs is None) or (ours and theirs and not np.allclose(ours, theirs, atol=_PARALLEL))
        else None
    )
    if differs:
        raise BadData(
            f"this slice does not fit the others of its volume: {differs}",
            where=part.path,
            remedy="keep slices of one series in a folder of their own",
        )
    return image
