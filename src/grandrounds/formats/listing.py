"""Which images a path holds: one file, every image below a folder, or every frame of an archive's image arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grandrounds.errors import BadData
from grandrounds.formats.arrays import header_of, members
from grandrounds.formats.below import files_below, leads_nowhere
from grandrounds.formats.reading import names_image


@dataclass(frozen=True, slots=True)
class Where:
    """Where one image lies.

    Args:
        path: Its file.
        member: Array inside an archive; None for a plain file.
        frame: Index along that array's first axis; None for all of it.
    """

    path: Path
    member: str | None = None
    frame: int | None = None


def images_in(path: Path) -> list[Where]:
    """Return every image of a file, archive or folder, in the order of their names; nothing is decoded.

    A link that leads nowhere is listed, and refused by whoever reads it. Of an archive, the arrays called `…images`
    count, or all stacks of images where none is called so.

    Raises:
        BadData: There is nothing at that path.
    """
    if not path.exists() and not leads_nowhere(path):
        raise BadData("there is no such file or folder", where=path, remedy="check the path")
    if path.is_dir():
        return [Where(one) for one in files_below(path) if names_image(one)]
    if path.suffix.lower() != ".npz":
        return [Where(path)]
    shapes = {name: header_of(path, name).shape for name in members(path)}
    stacks = {name: shape for name, shape in shapes.items() if len(shape) in (3, 4)}
    named = {name: shape for name, shape in stacks.items() if name.endswith("images")}
    return [Where(path, name, frame) for name, shape in (named or stacks).items() for frame in range(shape[0])]
