"""One look for each family, the same on the whole page: a colour, a marker and a dash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from grandrounds.report import svg

# Hues after Okabe and Ito (2008), "Color universal design", darkened until each has contrast ≥ 3 on white; `page.css`
# holds the numbers as --c0 … --c6 and --g0 … --g2 (greys, for floors). Markers and dashes carry the same difference.
N_COLOURS = 7
N_GREYS = 3
MARKERS = ("circle", "square", "diamond", "triangle", "cross")
DASHES = (None, "6 2", "2 2", "8 2 2 2")


@dataclass(frozen=True, slots=True)
class Look:
    """How one family is drawn.

    Args:
        colour: Class of the style sheet that sets the colour.
        marker: Shape of its points.
        dash: Dash of its lines; None for a full line.
    """

    colour: str
    marker: str
    dash: str | None

    def point(self, x: float, y: float, radius: float = 4.0) -> Markup:
        """Return the family's marker at a place."""
        if self.marker == "circle":
            return svg.tag("circle", cx=x, cy=y, r=radius, class_=f"dot {self.colour}")
        sides = {
            "square": _around(x, y, radius * 1.25, 4, math.pi / 4),
            "diamond": _around(x, y, radius * 1.3, 4, 0),
            "triangle": _around(x, y, radius * 1.35, 3, -math.pi / 2),
            "cross": _plus(x, y, radius * 1.15),
        }
        return svg.tag("path", d=svg.path(sides[self.marker], closed=True), class_=f"dot {self.colour}")

    def key(self) -> Markup:
        """Return the small picture that stands before the family's name; the name says the rest."""
        line = svg.tag("path", d="M1,7 23,7", class_=f"line {self.colour}", stroke_dasharray=self.dash)
        return svg.tag(
            "svg", line, self.point(12, 7), width=24, height=14, viewBox="0 0 24 14", aria_hidden="true", class_="key"
        )


def looks(families: Sequence[str], floors: Sequence[str]) -> dict[str, Look]:
    """Return the look of each family: floors grey, the others in colours that repeat with other markers."""
    given: dict[str, Look] = {}
    n_floors = n_others = 0
    for family in families:
        if family in floors:
            given[family] = Look(f"g{n_floors % N_GREYS}", MARKERS[n_floors % len(MARKERS)], DASHES[1 + n_floors % 3])
            n_floors += 1
        else:
            turn = n_others // N_COLOURS
            marker = MARKERS[(n_others + turn) % len(MARKERS)]
            given[family] = Look(f"c{n_others % N_COLOURS}", marker, DASHES[turn % len(DASHES)])
            n_others += 1
    return given


def _around(x: float, y: float, radius: float, n_corners: int, first_rad: float) -> list[svg.Point]:
    angles = [first_rad + 2 * math.pi * corner / n_corners for corner in range(n_corners)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _plus(x: float, y: float, radius: float) -> list[svg.Point]:
    arm = radius / 2.6
    corners = [(arm, radius), (arm, arm), (radius, arm)]
    quarter = corners + [(a, -b) for a, b in reversed(corners)]
    return [(x + a, y + b) for a, b in quarter] + [(x - a, y - b) for a, b in quarter]
