"""What a reader needs to redo a run: versions, machine, time, command."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

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
    """Return an argument whose path leads out of the folder of the run with its last part alone.

    The record travels with the run, and need not tell where somebody's data lie.

    >>> _without_folder("--labels=/ward/labels.csv"), _without_folder("../ward/ct"), _without_folder("runs/first")
    ('--labels=…/labels.csv', '…/ct', 'runs/first')
    """
    option, given, value = argument.rpartition("=") if argument.startswith("-") else ("", "", argument)
    leads_out = Path(value).is_absolute() or value.startswith(("../", "~"))
    return f"{option}{given}…/{Path(value).name}" if leads_out else argument


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
