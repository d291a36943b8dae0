"""How much memory one file may ask for, checked on what its header claims before a byte is decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grandrounds.errors import BadData

MAX_BYTES = 2**29  # one decoded image: 1,024 slices of a 512x512 CT at 16 bits
MAX_MEMBER_BYTES = 2**31  # one array of an archive, which holds many images
MAX_DEFLATE = 1032  # deflate cannot pack tighter (RFC 1951: 258 bytes in 2 bits), so a smaller file cannot be complete


def check_size(
    shape: Sequence[int],
    dtype: np.dtype[np.generic] | type[np.generic],
    where: Path,
    *,
    stored_bytes: int | None = None,
    limit_bytes: int = MAX_BYTES,
) -> None:
    """Refuse an array that is empty, beyond the budget, or larger than its file could hold.

    Args:
        shape: Lengths of all axes as the header claims them.
        dtype: Type of one value.
        where: The file.
        stored_bytes: The most that the file can decode to; None where its compression knows no bound.
        limit_bytes: The budget.

    Raises:
        BadData: Always with the numbers.
    """
    if any(n <= 0 for n in shape):
        raise BadData(f"the image is empty: its header says {_times(shape)} values", where=where)
    n_bytes = math.prod(int(n) for n in shape) * np.dtype(dtype).itemsize
    if n_bytes > limit_bytes:
        raise BadData(
            f"the header claims {_times(shape)} values, {n_bytes / 2**20:,.0f} MiB; "
            f"the most that is read at once is {limit_bytes / 2**20:,.0f} MiB",
            where=where,
            remedy="cut it into smaller images, or leave the file out",
        )
    if stored_bytes is not None and n_bytes > stored_bytes:
        raise BadData(
            f"the file is truncated: its header claims {_times(shape)} values, more than it can hold",
            where=where,
            remedy="fetch the file again",
        )


def check_file(path: Path) -> int:
    """Return the size of the file in bytes; refuse one that could not be held whole within the budget."""
    n_bytes = path.stat().st_size
    if n_bytes > MAX_BYTES + 2**26:  # 64 MiB of header at most
        raise BadData(
            f"the file has {n_bytes / 2**20:,.0f} MiB, too much to be read at once",
            where=path,
            remedy="save it in parts, or with compression",
        )
    return n_bytes


def _times(shape: Sequence[int]) -> str:
    return " x ".join(f"{n:,}" for n in shape)
