"""Worker processes: started when they are wanted, ended at once, and never longer alive than whoever asked for them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

_KEPT_BYTES = 2**24
_served = threading.Event()  # whether there is a process that others branch off from


def fresh(n: int) -> ProcessPoolExecutor:
    """Return an executor of processes that begin with nothing, in half a second of a core each.

    They leave Ctrl-C to their parent and end with it.

    Args:
        n: How many.
    """
    return _executor(n, multiprocessing.get_context("spawn"))


def furnished(n: int, modules: Sequence[str]) -> ProcessPoolExecutor:
    """Return an executor of processes that have imported these modules already; otherwise like `fresh`.

    One process without work imports them, from now on and once for all executors of this program; the others branch off
    from it. Elsewhere than on Linux each imports its own, since there libraries do not survive the branching; so does
    one by itself, for which it would take longer, unless that process is there already.

    Args:
        n: How many.
        modules: What is imported: nothing that works with threads of its own from then on, or touches a graphics card,
            or fails other than by being absent. Of a second call they are not heeded.
    """
    worth_it = n > 1 or _served.is_set()
    return _executor(n, multiprocessing.get_context("forkserver")) if worth_it and branching(modules) else fresh(n)


def branching(modules: Sequence[str]) -> bool:
    """Start the process that others branch off from, unless it is there, and return whether there is one.

    It is deaf to Ctrl-C from its first import on. Its socket lies in the folder for temporary files, whose path may be
    too long for one.

    Args:
        modules: What it imports; see `furnished`.
    """
    if sys.platform != "linux":
        return False
    from multiprocessing import forkserver, resource_tracker  # noqa: PLC0415  (not everywhere)

    forkserver.set_forkserver_preload(list(modules))
    resource_tracker.ensure_running()  # first, for where it starts it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what a process blocks, its children block
    try:
        forkserver.ensure_running()
    except OSError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _served.set()
    return True


def end(executor: Executor) -> None:
    """End an executor at once: what is in hand is lost, what is done is not; libraries need not unload."""
    running: dict[int, Any] = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=False, cancel_futures=True)
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join()


def keep_freed_memory() -> None:
    """Let the C library keep what one image frees for the next, which it else gives back and fetches page by page.

    That took a third of all the time of reading. The library keeps blocks of up to the largest that was ever freed,
    mallopt(3).
    """
    np.empty(_KEPT_BYTES, np.uint8)


def _executor(n: int, context: BaseContext) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n, mp_context=context, initializer=_start, initargs=(dict(os.environ),))


def _start(environment: dict[str, str]) -> None:
    """Make a process ready: the environment is that of today, not of when the first process branched off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
