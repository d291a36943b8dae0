from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree as ET

from grandrounds.report.network import network_svg, write


class Stage(NamedTuple):
    """A stage as a description gives it."""

    name: str
    size: tuple[int, ...]
    n_parameters: int


STAGES = (Stage("conv1", (16, 28, 28), 144), Stage("<b>blocks</b>", (17, 96), 4800), Stage("fc", (2,), 258))


def test_every_stage_has_a_box_and_its_numbers(tmp_path) -> None:
    """Size and parameters stand below each box; what is said of the network is its text alternative."""
    file = write("a network & its parts", (1, 28, 28), STAGES, tmp_path / "drawing.svg")
    root = ET.fromstring(file.read_text(encoding="utf-8"))
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]

    assert root.get("aria-label") == "a network & its parts"
    assert {"image", "1×28×28", "conv1", "16×28×28", "144 learned", "<b>blocks</b>", "17×96", "fc"} <= set(words)
    assert len([one for one in root.iter("{http://www.w3.org/2000/svg}path") if one.get("class") == "front"]) == 4


def test_words_are_text() -> None:
    """A name is never markup."""
    assert "<b>" not in network_svg("<b>", (1, 8, 8), STAGES)
