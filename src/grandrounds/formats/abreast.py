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
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

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


def abreast(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], *, workers: int, n_each: int = 16
) -> Iterator[Result]:
    """Yield what `work` gives for one piece of the items after the other, in their order.

    The first items are worked on here; only if the rest would take longer than processes take to start, these are
    started, and take their share of it. What comes out is the same.

    Args:
        work: A function of a module, called with a piece of the items.
        items: What it works on.
        workers: Processes, this one among them.
        n_each: Items of a piece.

    Raises:
        BadData: A process died.
    """
    _keep_freed_memory()
    pieces = deque(items[at : at + n_each] for at in range(0, len(items), n_each))
    started = time.monotonic()
    if pieces:
        yield work(pieces.popleft())
    left_s = (time.monotonic() - started) * len(pieces)
    if workers < 2 or not pieces or left_s < _WORTH_S:
        yield from map(work, pieces)
        return
    with processes(min(workers - 1, len(pieces))) as executor:
        try:
            yield from _shared(executor, work, pieces, (workers - 1) * _AHEAD)
        except BrokenProcessPool:
            raise BadData(
                "a process that read images died, most often because the machine ran out of memory",
                remedy="give the same command again with --workers 1",
            ) from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _shared(
    executor: ProcessPoolExecutor,
    work: Callable[[Sequence[Item]], Result],
    pieces: deque[Sequence[Item]],
    n_ahead: int,
) -> Iterator[Result]:
    """Yield what comes of the pieces in their order; what the others have not taken yet is done here meanwhile."""
    awake = executor.submit(_awake)
    while pieces and not awake.done():
        yield work(pieces.popleft())
    awake.result()
    waiting: deque[Future[Result]] = deque()
    while pieces or waiting:
        while pieces and len(waiting) < n_ahead:
            waiting.append(executor.submit(work, pieces.popleft()))
        if pieces and not waiting[0].done() and len(waiting) < 2 * n_ahead:
            waiting.append(_done(work(pieces.popleft())))
        else:
            yield waiting.popleft().result()


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _awake() -> None:
    """Do nothing, in a process that has started."""


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
