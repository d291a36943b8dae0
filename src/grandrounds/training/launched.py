"""What `torchrun` says of this process; known without importing torch."""

from __future__ import annotations

import os


def several() -> bool:
    """Whether `torchrun` has started other processes beside this one."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0
