"""Files read by several processes side by side: in order, a few ahead, so that memory stays flat.

Threads would not do: parsing a header holds Python's lock, and what readers do with warnings cannot be shared.
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

from grandrounds.errors import BadData

_AHEAD = 2  # pieces of work for each process
_WORTH_S = 4.0  # of work left; processes take about two seconds to start

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
    started. What comes out is the same.

    Args:
        work: A function of a module, called with a piece of the items.
        items: What it works on.
        workers: Processes; 1 for none.
        n_each: Items of a piece.

    Raises:
        BadData: A process died.
    """
    started = time.monotonic()
    first = items[:n_each]
    if first:
        yield work(first)
    rest = [items[at : at + n_each] for at in range(len(first), len(items), n_each)]
    took_s = time.monotonic() - started
    if workers < 2 or not rest or took_s / max(len(first), 1) * (len(items) - len(first)) < _WORTH_S:
        yield from map(work, rest)
        return
    with processes(min(workers, len(rest))) as executor:
        try:
            yield from _in_order(executor, work, rest, workers * _AHEAD)
        except BrokenProcessPool:
            raise BadData(
                "a process that read images died, most often because the machine ran out of memory",
                remedy="give the same command again with --workers 1",
            ) from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _in_order(
    executor: ProcessPoolExecutor, work: Callable[[Sequence[Item]], Result], pieces: list[Sequence[Item]], n_ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for piece in pieces:
        waiting.append(executor.submit(work, piece))
        if len(waiting) >= n_ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
