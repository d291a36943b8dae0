"""Axes, tags, roundings and colours."""

from __future__ import annotations

import re
from importlib import resources
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandrounds.report import plots, rounding, svg
from grandrounds.report.palette import MARKERS, Look
from grandrounds.report.ranked import Score

finite = st.floats(-1e6, 1e6)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_text_survives_as_text(words: str) -> None:
    """Whatever text goes into a tag comes out of an XML parser as it was."""
    element = ET.fromstring(svg.tag("text", words, aria_label=words))

    assert (element.text or "") == words
    assert len(element) == 0


@given(finite, finite)
def test_axis_holds_its_values_and_ticks_are_round(a: float, b: float) -> None:
    """An axis around two values holds both, and has at most seven ticks inside itself."""
    axis = svg.around([a, b, None, float("nan")], 0.0, 100.0)

    assert axis.holds(a)
    assert axis.holds(b)
    assert 0 <= axis(a) <= 100
    assert len(axis.ticks()) <= 7


@pytest.mark.parametrize("marker", MARKERS)
def test_every_marker_draws(marker: str) -> None:
    """Each marker is a well-formed element at its place."""
    assert ET.fromstring(Look("c0", marker, None).point(10.0, 10.0)).attrib["class"] == "dot c0"


def test_strip_without_a_value_says_so() -> None:
    """The plot of an undefined score has a text alternative and no mark."""
    drawn = ET.fromstring(plots.strip(Score(), plots.strip_axis([0.5, 0.6]), Look("c0", "circle", None)))

    assert drawn.attrib["aria-label"] == "undefined"
    assert not drawn.findall("circle")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.01234, "0.0123"),
        (4.5678, "4.57"),
        (45.678, "45.7"),
        (1234.5, "1,234"),
        (12.0, "12"),
        (-3.0, "−3"),
        (None, "–"),
    ],
)
def test_amounts_keep_three_digits(value: float | None, shown: str) -> None:
    """Costs are rounded to what can be meant."""
    assert rounding.amount(value) == shown


def test_p_values_are_never_zero() -> None:
    """A p value below what can be told is shown as a bound."""
    assert rounding.p_value(0.0) == "< 0.001"


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_the_paper(theme: int) -> None:
    """Text has contrast ≥ 4.5 and marks ≥ 3 with the paper, in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""
    css = resources.files("grandrounds.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", block))

    words = {name: _contrast(colours[name], colours["paper"]) for name in ("ink", "soft", "accent", "g2", "c2", "c4")}
    marks = {
        name: _contrast(value, colours["paper"]) for name, value in colours.items() if re.fullmatch(r"[cg]\d", name)
    }
    assert min(words.values()) >= 4.5, words
    assert min(marks.values()) >= 3, marks
    assert _contrast(colours["warn"], colours["warn-paper"]) >= 4.5


def _contrast(a: str, b: str) -> float:
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
