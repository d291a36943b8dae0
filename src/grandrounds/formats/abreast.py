"""Files read by several processes side by side: in order, a few ahead, so that memory stays flat.

Threads would not do: parsing a header holds Python's lock, and what readers do with warnings cannot be shared. The
process that asks does its share, so that nobody waits while the others start.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Self, TypeVar

from grandrounds.errors import BadData
from grandrounds.processes import end, fresh, keep_freed_memory

_AHEAD = 2  # pieces of work for each process
_WORTH_S = 2.0  # of work left; a process takes about half a second of a core to start

Item = TypeVar("Item")
Result = TypeVar("Result")


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Return items in groups by a key, in the order in which each key comes first.

    >>> grouped(["b1", "a1", "b2"], lambda name: name[0])
    [['b1', 'b2'], ['a1']]
    """
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


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
        keep_freed_memory()
        pieces = deque(items[at : at + n_each] for at in range(0, len(items), n_each))
        if pieces and self._others is None:
            started = time.monotonic()
            yield work(pieces.popleft())
            left_s = outlook * len(pieces) * (time.monotonic() - started)
            if self._n_others and left_s >= _WORTH_S:
                self._others = fresh(self._n_others)
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
