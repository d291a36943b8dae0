"""What lies below a folder: files, and links that lead nowhere, without what other programs leave behind."""

from __future__ import annotations

from pathlib import Path

# Copies of a Mac's archiver, thumbnails and the dustbin of a Synology server. Jupyter's copies hide behind a dot.
_LEFT_BEHIND = frozenset({"__macosx", "@eadir", "#recycle"})
NOWHERE = "the link leads nowhere"


def files_below(folder: Path) -> list[Path]:
    """Return what lies below a folder, in the order of names; what is hidden or left behind in it does not count."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not any(map(is_left_behind, path.relative_to(folder).parts)) and (path.is_file() or leads_nowhere(path))
    ]


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or was left by a program that showed or packed its neighbours.

    >>> is_left_behind(".ipynb_checkpoints"), is_left_behind("@eaDir"), is_left_behind("benign")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def leads_nowhere(path: Path) -> bool:
    """Whether a path is a link to nothing, as git-annex and DataLad have for a file whose content was not fetched."""
    return path.is_symlink() and not path.exists()
