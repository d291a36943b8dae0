"""How much memory a block of code has needed."""

from __future__ import annotations

import threading
from typing import Self

import psutil

_MIB = 2**20


class PeakMemory:
    """The greatest resident memory of this process while the block runs, sampled ten times a second."""

    def __enter__(self) -> Self:
        self._process, self._done = psutil.Process(), threading.Event()
        self._peak = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.1):
            self._peak = max(self._peak, self._process.memory_info().rss)

    @property
    def mib(self) -> float:
        """The peak in MiB."""
        return self._peak / _MIB
