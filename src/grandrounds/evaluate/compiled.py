"""Loops compiled by numba.

They hold no lock, and the bootstrap runs them on blocks of resamples in threads. Unlike numba's own parallel loops, and
unlike matrix products on a busy machine, that needs no threading layer, survives a fork, and never waits for a second
set of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401  (numba has no type for what it returns)
    """Return the function compiled, kept on disk where any folder for that is writable."""
    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # numba found no writable folder: it compiles anew in every process
        return numba.njit(function, nogil=True, error_model="numpy")
