"""The run folder: one folder a trial, each written once, whole or not at all.

A trial's folder appears under its final name only when every byte of it is on the disk, and stays as it is, but for one
that failed, which makes way for the next attempt. What a killed process leaves behind is a hidden temporary folder,
swept at the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from grandrounds import tables
from grandrounds.errors import StoreTrouble


class Store:
    """A run folder.

    Args:
        folder: Made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trials = folder / "trials"
        try:
            self._trials.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreTrouble(
                f"cannot make the run folder: {error.strerror}",
                where=folder,
                remedy="choose a folder that you may write with -o",
            ) from None

    def __contains__(self, trial: str) -> bool:
        return (self._trials / trial).is_dir()

    def path(self, trial: str) -> Path:
        """Return the folder of a finished trial."""
        return self._trials / trial

    def progress_path(self, trial: str) -> Path:
        """Return where a running trial notes its epochs, one JSON line each."""
        return self._trials / f".{trial}.progress"

    @contextlib.contextmanager
    def writing(self, trial: str) -> Iterator[Path]:
        """Give an empty folder that becomes the trial's once the block ends without an error."""
        temporary, failed = (self._trials / f".{trial}{mark}.{os.getpid()}.tmp" for mark in ("", ".failed"))
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            yield temporary
            for path in sorted(temporary.rglob("*")):
                tables.sync(path)
            tables.sync(temporary)
            if self.failed([trial]):
                self.path(trial).rename(failed)
            if trial not in self:  # another process may have been faster
                temporary.rename(self.path(trial))
            tables.sync(self._trials)
        except OSError as error:
            raise StoreTrouble(
                f"cannot save a trial: {error.strerror or type(error).__name__}",
                where=self.path(trial),
                remedy="free some space and give the same command again; every finished trial is kept",
            ) from None
        finally:
            for leftover in (temporary, failed):
                shutil.rmtree(leftover, ignore_errors=True)
            self.progress_path(trial).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what killed processes left behind and return how many leftovers there were."""
        n_swept = 0
        for path in self._trials.glob(".*.tmp"):
            writer = path.name.rsplit(".", 2)[-2]
            if not (writer.isdigit() and _is_alive(int(writer))):
                shutil.rmtree(path, ignore_errors=True)
                n_swept += 1
        for path in self._trials.glob(".*.progress"):
            path.unlink(missing_ok=True)
        return n_swept

    def gathered(self, schema: tables.Schema, trials: Collection[str]) -> pl.DataFrame:
        """Return one table of the named trials, as far as they are finished.

        Others may lie beside them, left by an earlier version of the study; they do not count.
        """
        paths = [self.path(trial) / f"{schema.name}.parquet" for trial in sorted(trials) if trial in self]
        frames = [tables.read(schema, path).frame for path in paths]
        # A trial that failed has no rows, and so no columns for the classes.
        filled = [frame for frame in frames if frame.height]
        return pl.concat(filled) if filled else tables.empty(schema)

    def failed(self, trials: Collection[str]) -> list[str]:
        """Return those of the named trials that ended with an error."""
        return self.gathered(tables.TRIALS, trials).filter(status="failed")["trial"].to_list()

    def write_json(self, name: str, content: Any) -> Path:  # noqa: ANN401
        """Write a JSON file into the run folder, whole or not at all."""
        path = self.folder / name
        with tables.atomic(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")
        return path

    def write_text(self, name: str, content: str) -> Path:
        """Write a text file into the run folder, whole or not at all."""
        path = self.folder / name
        with tables.atomic(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
        return path


def _is_alive(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)  # a zombie has ended, unmourned
    except psutil.NoSuchProcess:
        return False
