"""What one row of an answer is about: an image, or an exam with all of its series, as they lie on a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from grandrounds.formats import Where
from grandrounds.serve.exams import Found


class Asked(NamedTuple):
    """What one row answers about: a place, and the images that are read for it; of an exam, its series."""

    where: Where
    images: tuple[Found, ...]


def exams_of(found: Iterable[tuple[Path, Found]]) -> Iterator[Asked]:
    """Yield the exams of what was found, each called by the path that was given and its own name."""
    exams: dict[Path, list[Found]] = {}
    for path, one in found:
        lies_in = path if path.is_dir() else path.parent
        exams.setdefault(lies_in if one.exam == lies_in.resolve().name else lies_in / one.exam, []).append(one)
    yield from (Asked(Where(place), tuple(images)) for place, images in exams.items())


def owner_of(where: Where) -> tuple[str, None]:
    """Return the case of an image that nobody describes, which is its file, and its patient, whom nobody knows."""
    return str(where.path) if where.member is None else f"{where.path}/{where.member}/{where.frame}", None


def twice(asked: Asked) -> Iterator[str]:
    """Yield which series of an exam are there more than once, since each of them counts."""
    for kind, n in Counter(one.kind for one in asked.images if one.kind is not None).items():
        if n > 1:
            yield f"{n} series of the exam are {kind}, and all were read"


def samples_of(asked: Sequence[Asked]) -> pl.DataFrame:
    """Return a row for each image that is read, which is a sample of the case that its row is about."""
    rows = [(str(k), image.kind) for k, one in enumerate(asked) for image in one.images]
    cases, kinds = [case for case, _ in rows], [kind for _, kind in rows]
    names = [str(k) for k in range(len(rows))]
    frame = pl.DataFrame({"sample": names, "case": cases, "patient": cases})
    return frame.with_columns(pl.Series("series_kind", kinds, dtype=pl.String()))
