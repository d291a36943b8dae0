"""Sets that are computed: written once into a cache folder, whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from grandrounds.errors import StoreTrouble


def written_once(folder: Path, write: Callable[[Path], Path], size: str) -> Path:
    """Return the folder of a set, written now where it is not there yet.

    Args:
        folder: Where the set belongs.
        write: Writes the set into a folder that does not exist yet, and returns it.
        size: How much room it takes, in words.

    Raises:
        StoreTrouble: The cache cannot be written.
    """
    if folder.is_dir():
        return folder
    # Written beside its place, then renamed. Who comes second keeps what the first one made.
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            made = write(Path(temporary) / "set")
            with contextlib.suppress(FileExistsError):
                made.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # some systems say "not empty" where others say "exists"
            raise StoreTrouble(
                f"cannot write the simulated set: {error.strerror or type(error).__name__}",
                where=folder,
                remedy=f"free some space ({size}) or choose a cache folder that you may write",
            ) from None
    return folder
