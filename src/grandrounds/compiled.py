"""Loops compiled by numba.

They hold no lock: the bootstrap runs them on blocks of resamples in threads. Unlike numba's own parallel loops, and
unlike matrix products on a busy machine, that needs no threading layer, survives a fork, and never waits for a second
set of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, compiled when it is first called and kept on disk where any folder for that is writable."""
    loop = cache(lambda: _compiled(function))

    @wraps(function)
    def called(*given: Any) -> Any:  # noqa: ANN401  (whatever the function takes)
        return loop()(*given)

    return called


def _compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401  (numba has no type for what it returns)
    import numba  # noqa: PLC0415  (half a second that no command should wait for which judges nothing)

    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # numba found no writable folder: it compiles anew in every process
        return numba.njit(function, nogil=True, error_model="numpy")
