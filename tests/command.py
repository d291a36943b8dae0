"""The command line in a process of its own, which branches off one that has the libraries already.

Arguments, folder, environment and streams are its own, as in a terminal; only the seconds are spared in which torch and
others are imported. Where the start itself is what a test is about, it calls the installed command.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from grandrounds.processes import branching
from grandrounds.study import engine

MODULES = (engine.LIBRARIES, "numba", "cv2", "cyclopts", "jinja2", "pydantic", "rich.table")


def grandrounds(*arguments, cwd=None, check=0, environment=None, timeout_s=300):
    """Run a command and return what it printed; its exit code must be the expected one."""
    done = called("grandrounds", *arguments, cwd=cwd, environment=environment, timeout_s=timeout_s)
    assert done.returncode == check, done.stdout + done.stderr
    return done.stdout + done.stderr


def called(*command, cwd=None, environment=None, timeout_s=300):
    """Return a finished process of the command line, as `subprocess.run` does.

    Args:
        command: `grandrounds` and its arguments.
        cwd: Where it runs.
        environment: All of its environment; None for that of this process.
        timeout_s: After this it is killed.
    """
    words = [str(word) for word in command]
    if not branching(MODULES):
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=cwd, env=environment, timeout=timeout_s,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("out", "err")]
        process = multiprocessing.get_context("forkserver").Process(
            target=_become, args=(words, str(cwd or Path.cwd()), dict(environment or os.environ), streams)
        )
        process.start()
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout_s)
        return subprocess.CompletedProcess(
            words, process.exitcode, *(path.read_text(encoding="utf-8") for path in streams)
        )


def _become(words, folder, environment, streams):
    """Turn this process into the one that was asked for."""
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _share_the_server()
    sys.argv = words
    from grandrounds.cli import main

    main()


def _share_the_server():
    """Let workers branch off where this process did, which Python else only says that it does."""
    from multiprocessing import forkserver

    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None
    branching(MODULES)
