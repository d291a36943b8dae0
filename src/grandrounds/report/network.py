"""A drawing of a network: one box a stage, as high as its maps and as deep as its channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from markupsafe import Markup

from grandrounds import tables
from grandrounds.report.rounding import count
from grandrounds.report.svg import drawing, path, tag

_STEP, _TALLEST, _LEAST, _MOST_WIDE = 100.0, 150.0, 6.0, 46.0
_TOP, _FOOT = 30.0, 66.0
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2430;text-anchor:middle}"
    ".title{text-anchor:start;font-weight:600}.soft{fill:#556070;font-size:11px}"
    ".front{fill:#0072b2}.top{fill:#5aa9d6}.side{fill:#00507d}"
)


class Drawn(Protocol):
    """What is drawn of a stage."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def size(self) -> tuple[int, ...]:
        """What it gives for one image: (C, H, W), (tokens, channels) or (units,)."""
        ...

    @property
    def n_parameters(self) -> int:
        """Its learned numbers."""
        ...


def network_svg(title: str, shape: tuple[int, ...], stages: Sequence[Drawn]) -> Markup:
    """Return the drawing of a network.

    Args:
        title: What it is, as text alternative and heading.
        shape: (C, H, W) of the images.
        stages: In the order in which an image passes.
    """
    boxes: list[tuple[str, tuple[int, ...], str]] = [("image", shape, "")]
    boxes += [(one.name, one.size, f"{count(one.n_parameters)} learned" if one.n_parameters else "") for one in stages]
    sides = [_side(size) for _, size, _ in boxes]
    tallest = max(sides)
    width, height = max(_STEP * len(boxes) + 20, 7.0 * len(title)), _TOP + _TALLEST + _FOOT
    parts: list[Markup] = [tag("style", _STYLE), tag("text", title, x=10.0, y=16.0, class_="title")]
    for turn, ((name, size, learned), side) in enumerate(zip(boxes, sides, strict=True)):
        middle = 10 + _STEP * (turn + 0.5)
        high = max(_LEAST, _TALLEST * math.sqrt(side / tallest))
        wide = min(_MOST_WIDE, _LEAST + 4 * math.log2(max(1, _depth(size))))
        parts += _box(middle, _TOP + (_TALLEST - high) / 2, wide, high)
        parts += _words(middle, (name, "×".join(map(str, size)), learned))
    return drawing(width, height, title, parts)


def write(title: str, shape: tuple[int, ...], stages: Sequence[Drawn], target: Path) -> Path:
    """Write the drawing as an SVG file, whole or not at all, and return its path.

    Raises:
        StoreTrouble: The file cannot be written.
    """
    text = str(network_svg(title, shape, stages)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    with tables.atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _side(size: tuple[int, ...]) -> float:
    """Return how large the maps are; tokens count as a square of them."""
    if len(size) > 2:
        # (C, H, W), or Swin's (H, W, C), whose first two sides are equal
        return float(size[-2])
    return math.sqrt(size[0]) if len(size) == 2 else 1.0


def _depth(size: tuple[int, ...]) -> int:
    return size[0] if len(size) > 2 else size[-1]


def _box(middle: float, top: float, wide: float, high: float) -> Iterable[Markup]:
    """Return a box seen from the front, with a little of its top and side."""
    left, right, bottom, lean = middle - wide / 2, middle + wide / 2, top + high, min(7.0, high / 3)
    front = [(left, top), (right, top), (right, bottom), (left, bottom)]
    above = [(left, top), (left + lean, top - lean), (right + lean, top - lean), (right, top)]
    beside = [(right, top), (right + lean, top - lean), (right + lean, bottom - lean), (right, bottom)]
    for style, corners in (("front", front), ("top", above), ("side", beside)):
        yield tag("path", class_=style, d=path(corners, closed=True))


def _words(middle: float, words: tuple[str, str, str]) -> Iterable[Markup]:
    for line, word in enumerate(words):
        if word:
            y = _TOP + _TALLEST + 20 + 15 * line
            yield tag("text", word, x=middle, y=y, class_="soft" if line else None)
