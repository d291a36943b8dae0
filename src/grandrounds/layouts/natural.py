"""The order in which people count: 2 before 10, whether or not the numbers in a name are padded."""

from __future__ import annotations

import re


def natural(name: str) -> list[tuple[int, str]]:
    """Return what a name is sorted by.

    >>> sorted(["10.jpg", "9.jpg", "ct_2"], key=natural)
    ['9.jpg', '10.jpg', 'ct_2']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
