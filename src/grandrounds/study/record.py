"""What a reader needs to redo a run: versions, machine, time, command."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from grandrounds.wording import is_rooted, last_part

JUDGING = ("grandrounds", "numpy", "scipy", "polars", "numba")  # all that reads predictions
PACKAGES = (*JUDGING, "scikit-learn", "scikit-image", "torch", "torchvision", "timm", "pydicom")


def record(packages: Sequence[str] = PACKAGES) -> dict[str, object]:
    """Return versions, hardware, date and command as plain data.

    Args:
        packages: Those that had a part in it, since what else is installed says nothing.
    """
    return {
        "command": _command(),
        "finished": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "packages": {name: _version(name) for name in packages},
    }


def _command() -> str:
    program = Path(sys.argv[0]).name
    given = [_without_folder(one) for one in sys.argv[1:]]
    return shlex.join(["grandrounds" if program.startswith("__main__") else program, *given])


def _without_folder(argument: str) -> str:
    """Return an argument in which paths that lead out of the folder of the run have their last part alone.

    The record travels with the run, and need not tell where somebody's data lie.

    >>> _without_folder("--labels=/ward/labels.csv"), _without_folder("a.csv,../ward/b.csv"), _without_folder("runs/x")
    ('--labels=…/labels.csv', 'a.csv,…/b.csv', 'runs/x')
    >>> _without_folder("-o/ward/x"), _without_folder("data/../../ward/x"), _without_folder("weights=C:/ward/w.pt")
    ('-o…/x', '…/x', 'weights=…/w.pt')
    """
    short = re.match(r"-[a-z](?=[/~.])", argument)  # an option of one letter with its value right behind
    head = short[0] if short else ""
    return head + "".join(_last(part) for part in re.split(r"([=,])", argument.removeprefix(head)))


def _last(part: str) -> str:
    leads_out = is_rooted(part) or os.path.normpath(part).startswith("..") or part.startswith("~")
    return last_part(part) if leads_out else part


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
