"""How many cores there are for this process."""

from __future__ import annotations

import os


def processors() -> int:
    """Return how many processors this process may use; macOS cannot say, so there it is all of them."""
    granted = getattr(os, "sched_getaffinity", None)
    return len(granted(0)) if granted else os.cpu_count() or 1
