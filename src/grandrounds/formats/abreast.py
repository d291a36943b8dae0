"""Files read by several processes side by side: in order, a few ahead, so that memory stays flat.

Threads would not do: parsing a header holds Python's lock, and what readers do with warnings cannot be shared. The
process that asks does its share, so that nobody waits while the others start.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self, TypeVar

import numpy as np

from grandrounds.errors import BadData

_AHEAD = 2  # pieces of work for each process
_WORTH_S = 2.0  # of work left; a process takes about half a second of a core to start
_KEPT_BYTES = 2**24

Item = TypeVar("Item")
Result = TypeVar("Result")


def processes(workers: int) -> ProcessPoolExecutor:
    """Return an executor of fresh worker processes that end with their parent and leave Ctrl-C to it."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))


def end(executor: Executor) -> None:
    """End an executor at once: what is in hand is lost, what is done is not; libraries need not unload."""
    running: dict[int, Any] = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join()


class Crew:
    """This process, and others that it starts once there is enough to read; then they are there for all that follows.

    A context, with which the others end.

    Args:
        workers: Processes, this one among them.
    """

    def __init__(self, workers: int = 1) -> None:
        self._n_others = workers - 1
        self._others: ProcessPoolExecutor | None = None
        self._awake: Future[object] = Future()

    def __enter__(self) -> Self:
        """Return the crew; nobody is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the others."""
        if self._others is not None:
            end(self._others)
            self._others = None

    def abreast(
        self, work: Callable[[Sequence[Item]], Result], items: Sequence[Item], *, n_each: int = 16, outlook: float = 1
    ) -> Iterator[Result]:
        """Yield what `work` gives for one piece of the items after the other, in their order.

        Where there are no others yet, the first items are worked on here; only if the rest would take longer than
        processes take to start, these are started, and take their share of it. What comes out is the same.

        Args:
            work: A function of a module, called with a piece of the items; in a new process first with none.
            items: What it works on.
            n_each: Items of a piece.
            outlook: How many times as long as this work all takes that the crew is wanted for.

        Raises:
            BadData: A process died.
        """
        _keep_freed_memory()
        pieces = deque(items[at : at + n_each] for at in range(0, len(items), n_each))
        if pieces and self._others is None:
            started = time.monotonic()
            yield work(pieces.popleft())
            left_s = outlook * len(pieces) * (time.monotonic() - started)
            if self._n_others and left_s >= _WORTH_S:
                self._others = processes(self._n_others)
                # No items at first: what the work imports takes longer than the start itself.
                self._awake = self._others.submit(work, items[:0])
        if self._others is None:
            yield from map(work, pieces)
            return
        try:
            yield from self._shared(self._others, work, pieces)
        except BrokenProcessPool:
            raise BadData(
                "a process that read images died, most often because the machine ran out of memory",
                remedy="give the same command again with --workers 1",
            ) from None

    def _shared(
        self,
        others: ProcessPoolExecutor,
        work: Callable[[Sequence[Item]], Result],
        pieces: deque[Sequence[Item]],
    ) -> Iterator[Result]:
        """Yield what comes of the pieces in their order; what the others have not taken yet is done here meanwhile."""
        while pieces and not self._awake.done():
            yield work(pieces.popleft())
        n_ahead = self._n_others * _AHEAD
        waiting: deque[Future[Result]] = deque()
        try:
            while pieces or waiting:
                while pieces and len(waiting) < n_ahead:
                    waiting.append(others.submit(work, pieces.popleft()))
                if pieces and not waiting[0].done() and len(waiting) < 2 * n_ahead:
                    waiting.append(_done(work(pieces.popleft())))
                else:
                    yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


ALONE = Crew()


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _keep_freed_memory() -> None:
    """Let the C library keep what one image frees for the next, which it else gives back and fetches page by page.

    That took a third of all the time. The library keeps blocks of up to the largest that was ever freed, mallopt(3).
    """
    np.empty(_KEPT_BYTES, np.uint8)


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_freed_memory()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
