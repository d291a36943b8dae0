"""Draw docs/images/coverage.svg: what shown intervals and percentiles cover, from the tables of one page.

Run as `python docs/figures/coverage.py` after the tables of docs/explanation/interval-coverage.md were printed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
PAGE, OUT = DOCS / "explanation" / "interval-coverage.md", DOCS / "images" / "coverage.svg"
LEAST, MOST = 80.0, 100.0  # per cent
STYLES = {"percentiles": {"color": "#b45309", "facecolors": "none"}, "shown": {"color": "#0f6e8c"}}  # the later on top
LIFT = {"percentiles": 0.17, "shown": -0.17}


def columns(page: str) -> Iterator[tuple[str, str, list[float]]]:
    """Yield number, method and percentages of each column of the tables that is headed so."""
    for table in page.split("\n\n"):
        lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
        for head, *cells in zip(*lines, strict=True):
            number, _, method = head.rpartition(", ")
            if method in STYLES:
                yield number, method, [float(cell.removesuffix(" %")) for cell in cells if cell != "–"]


def draw(page: Path = PAGE, out: Path = OUT) -> Path:
    """Write the drawing and return its file."""
    found = list(columns(page.read_text(encoding="utf-8")))
    rows = list(dict.fromkeys(number for number, *_ in found))
    mpl.rcParams |= {"svg.hashsalt": "coverage", "font.size": 9}  # the same file each time
    figure, axes = plt.subplots(figsize=(6.4, 0.28 * len(rows) + 1.1), layout="constrained")
    axes.axvline(95, color="0.35", linewidth=1)
    for method, style in STYLES.items():
        dots = [(max(share, LEAST), rows.index(number) + LIFT[method]) for number, of, shares in found
                if of == method for share in shares]  # fmt: skip
        axes.scatter(*zip(*dots, strict=True), s=14, linewidths=0.9, label=method, clip_on=False, zorder=3, **style)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(LEAST, MOST)
    axes.set_xticks([80, 85, 90, 95, 100], ["80 % or less", "85 %", "90 %", "95 %", "100 %"])
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.set_xlabel("studies whose interval holds the true value")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, reverse=True)
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)
    return out


if __name__ == "__main__":
    print(f"Wrote {draw()}.")
