"""SVG from plain Python: escaped tags and linear axes, small enough to draw a thousand marks without a library."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Point = tuple[float, float]


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Return one element; text and attribute values are escaped, None leaves an attribute out.

    >>> tag("text", "a < b", class_="tick", font_size=11.0)
    Markup('<text class="tick" font-size="11">a &lt; b</text>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704  (every part was escaped above)


def drawing(width: float, height: float, label: str, parts: Iterable[Markup], style: str = "") -> Markup:
    """Return a whole drawing, `width` × `height` CSS pixels, with its text alternative."""
    return tag(
        "svg",
        *parts,
        role="img",
        aria_label=label,
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        width=width,
        height=height,
        class_=style or None,
    )


def path(points: Sequence[Point], *, closed: bool = False) -> str:
    """Return the path data of a line through points."""
    moves = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
    return f"M{moves}{'Z' if closed else ''}" if points else ""


def runs(points: Iterable[tuple[float, float | None]]) -> list[list[Point]]:
    """Return the stretches of a line without its undefined points."""
    groups = itertools.groupby(points, key=lambda point: point[1] is not None and math.isfinite(point[1]))
    return [[(x, y) for x, y in group if y is not None] for defined, group in groups if defined]


def _short(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear map from values to pixels; values beyond the ends are drawn at the ends."""

    low: float
    high: float
    start_px: float
    end_px: float

    def __call__(self, value: float) -> float:
        """Return where a value lies."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start_px + part * (self.end_px - self.start_px)

    def holds(self, value: float) -> bool:
        """Return whether a value lies between the ends."""
        return self.low <= value <= self.high

    def ticks(self, n_at_most: int = 4) -> list[float]:
        """Return round values between the ends."""
        step = nice_step((self.high - self.low) / max(n_at_most - 1, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 10) for index in range(first, last + 1)]


def nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 × 10ⁿ that is not below `least`.

    >>> nice_step(0.031)
    0.05
    """
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))


def around(values: Iterable[float | None], start_px: float, end_px: float, *, least: float = 0.02) -> Axis:
    """Return an axis that holds all the values with some air, at least `least` long."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    air = max(0.06 * (high - low), (least - (high - low)) / 2)
    return Axis(low - air, high + air, start_px, end_px)


def tick_text(value: float) -> str:
    """Return a tick's label without needless zeros."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
