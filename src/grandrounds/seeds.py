"""Named seeds: randomness is an argument, derived from one root.

A seed depends on the root, on what it is for and on indices, through a hash: adding a purpose never changes the
draws of another.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(root: int, purpose: str, **index: int | str) -> int:
    """Return the seed for one purpose, a number below 2**31.

    >>> derive(0, "augment", fold=3) == derive(0, "augment", fold=3)
    True
    >>> derive(0, "augment", fold=3) == derive(0, "augment", fold=4)
    False
    """
    text = repr((int(root), purpose, sorted(index.items())))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % 2**31


def generator(root: int, purpose: str, **index: int | str) -> np.random.Generator:
    """Return a numpy generator seeded for one purpose."""
    return np.random.default_rng(derive(root, purpose, **index))
