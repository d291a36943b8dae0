"""Decoding in a process of its own, for decoders that end the whole program when a file is damaged.

GDCM is the only decoder of lossless JPEG that we may use, and ITK's the only one of 12-bit lossy JPEG. Both throw
through C code on some damaged streams, which no Python program survives. So they work in a child process, which is kept
for the next file and replaced when it dies.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from grandrounds import processes
from grandrounds.errors import BadData

_LONGEST_S = 60.0
_lock = threading.Lock()
_kept: list[ProcessPoolExecutor] = []


def decoded(decode: Callable[..., NDArray[Any]], *arguments: object, path: Path) -> NDArray[Any]:
    """Return what `decode` gives, called in the child process.

    Args:
        decode: A function of a module, and its arguments; all of them can be pickled.
        *arguments: Its arguments.
        path: The file, for messages.

    Raises:
        BadData: The decoder died or did not end in time.
    """
    with _lock:
        if not _kept:
            _kept.append(processes.fresh(1))
        try:
            with _without_script():
                given = _kept[0].submit(decode, *arguments)
            return given.result(timeout=_LONGEST_S)
        except (BrokenProcessPool, Late):
            _drop()
            raise BadData(
                "the compressed image is damaged: its decoder gave up", where=path, remedy="fetch the file again"
            ) from None


@contextmanager
def _without_script() -> Iterator[None]:
    """Let a process that starts meanwhile not run the user's script again, as spawned ones do without a guard."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _drop() -> None:
    while _kept:
        processes.end(_kept.pop())


atexit.register(_drop)
