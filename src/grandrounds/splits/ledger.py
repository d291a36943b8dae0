"""The ledger beside the data: every opening of a test role leaves a line.

A test set that is looked at often is no test set any more. The ledger lies with the data, not with the run, so that a
new run folder does not forget; where the folder of the data cannot be written it lies in the user's state folder. It
counts openings, not intentions: a trial that was killed and ran again counts twice.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grandrounds.errors import StoreTrouble

_NAME = ".grandrounds-ledger.jsonl"
_MAY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Opened:
    """How often the test role of one dataset was opened.

    Args:
        n: Openings.
        trials: How many trials opened it.
        first: Time of the first opening, ISO 8601; None where there was none.
        last: Time of the last opening.
    """

    n: int
    trials: int
    first: str | None
    last: str | None


def open_test(root: Path, fingerprint: str, plan: str, trial: str, when: str) -> int:
    """Note that a trial opens the test role, and return how often it was opened, this time included.

    Args:
        root: The file or folder of the data.
        fingerprint: Of the dataset.
        plan: Identity of the split plan.
        trial: Name of the trial.
        when: Time, ISO 8601.

    Raises:
        StoreTrouble: Neither place can be written; a test role that cannot be counted stays shut.
    """
    entry = {"fingerprint": fingerprint, "plan": plan, "trial": trial, "when": when}
    # The newline stands in front as well, so that a line torn by a crash spoils nothing but itself.
    line = f"\n{json.dumps(entry)}\n".encode()
    for path in _places(root, fingerprint):
        if _append(path, line):
            return count(root, fingerprint).n
    raise StoreTrouble(
        "the opening of the test role cannot be noted",
        where=_places(root, fingerprint)[-1],
        remedy="make this folder or that of the data writable, or free some space",
    )


def count(root: Path, fingerprint: str) -> Opened:
    """Return how often the test role of a dataset was opened, as far as the ledgers within reach know."""
    entries = [
        entry for path in _places(root, fingerprint) for entry in _entries(path) if entry["fingerprint"] == fingerprint
    ]
    times = sorted(str(entry.get("when")) for entry in entries)
    trials = {(entry.get("plan"), entry.get("trial")) for entry in entries}
    return Opened(len(entries), len(trials), *((times[0], times[-1]) if times else (None, None)))


def _places(root: Path, fingerprint: str) -> tuple[Path, Path]:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = root if root.is_dir() else root.parent
    return folder / _NAME, state / "grandrounds" / f"ledger-{fingerprint}.jsonl"


def _append(path: Path, line: bytes) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.stat().st_mode & _MAY_WRITE:
            return False  # root could; whoever made the folder read-only did not want it
        # One write in append mode: lines of several processes do not mix.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            complete = os.write(handle, line) == len(line)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        return False
    return complete


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # blank, or torn by a crash
        if isinstance(entry, dict) and "fingerprint" in entry:
            entries.append(entry)
    return entries
