"""Draw docs/images/network-*.svg: networks as they are really built, for docs/reference/families.md.

Run as `python docs/figures/networks.py`. A test compares the files with what this draws.
"""

from __future__ import annotations

from pathlib import Path

from grandrounds.families.description import describe
from grandrounds.report.network import write

OUT = Path(__file__).parents[1] / "images"
SHAPE, N_CLASSES = (1, 32, 32), 5  # a patch of lung texture and its patterns
FAMILIES = ("li2014", "resnet-18", "vit-tiny")


def draw(family: str, out: Path = OUT) -> Path:
    """Write the drawing of one family's network and return its file."""
    found = describe(family, {}, SHAPE, N_CLASSES)
    return write(f"{family}: {found.note}", found.shape, found.stages, out / f"network-{family}.svg")


if __name__ == "__main__":
    for name in FAMILIES:
        print(f"Wrote {draw(name)}.")
