"""Whether the files of a study were touched since it read them; whether they changed only reading them again tells.

Files that were replaced under their old time, as `cp -p` and `rsync -t` leave it, are not noticed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from grandrounds.study.spec import DataSpec

# The first is written on reading, the second after the study's own ledger, which lies beside the images.
_WRITTEN = ("labels.parquet", "record.json")


def touched_since_read(spec: DataSpec, folders: Iterable[Path]) -> bool:
    """Return whether a file or folder that a study names was written after the run folder was.

    Of a folder all that lies below counts and is not hidden, and that something was added to it or removed. Images that
    a table names elsewhere do not.

    Args:
        spec: What the study names.
        folders: The run folder; of several tasks that of each as well.
    """
    read = max(_written(folder / name) for folder in folders for name in _WRITTEN)
    return any(_written(path) > read for named in (spec.source, spec.options.labels) if named for path in _all(named))


def _all(named: str) -> Iterator[Path]:
    top = Path(named)
    yield top
    for folder, folders, files in os.walk(top):
        yield from (Path(folder, name) for name in (*folders, *files) if not name.startswith("."))


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # gone, or the name of a data set that is computed
        return 0.0
