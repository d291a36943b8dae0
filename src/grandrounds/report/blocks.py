"""The parts that a page is made of, as plain data: the templates know these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from markupsafe import Markup

Text: TypeAlias = str | Markup  # a `str` is escaped by the template; `Markup` comes from `svg.tag` alone


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Args:
        text: What it says.
        detail: A second, smaller line.
        mark: Style of a key drawn before the text, for example a family's; empty for none.
        tag: A short word in a box after the text; empty for none.
        shade: 0 to 1, how strongly the cell is tinted; None for not at all.
    """

    text: Text
    detail: str = ""
    mark: Text = ""
    tag: str = ""
    shade: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """Head of one column.

    Args:
        title: What it says.
        detail: Unit or direction, in a second line.
        numeric: Whether its cells are aligned to the right.
    """

    title: Text
    detail: Text = ""
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True, slots=True)
class Panels:
    """Small drawings or tables beside each other, with one caption and one legend.

    Args:
        caption: What is shown and how to read it.
        panels: The drawings, or tables.
        legend: Marks and names.
        wide: Whether a panel needs the width of a table.
    """

    caption: str
    panels: tuple[Markup | Table, ...]
    legend: tuple[tuple[Markup, str], ...] = ()
    wide: bool = False
    kind: ClassVar[str] = "panels"


@dataclass(frozen=True, slots=True)
class Prose:
    """Sentences, each in its own paragraph, or as a list."""

    sentences: tuple[str, ...]
    listed: bool = False
    kind: ClassVar[str] = "prose"


@dataclass(frozen=True, slots=True)
class Listing:
    """Text that is shown as it is, such as TOML or a command."""

    text: str
    label: str
    kind: ClassVar[str] = "listing"


@dataclass(frozen=True, slots=True)
class Pictures:
    """A row of example images under one heading; each is alternative text and base64 data.

    Args:
        title: What they show.
        images: Alternative text and data.
        media: Their type, `png` or `jpeg`.
    """

    title: str
    images: tuple[tuple[str, str], ...]
    media: Literal["png", "jpeg"] = "png"
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True, slots=True)
class Terms:
    """Words and what they mean."""

    entries: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "terms"


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks behind a summary that opens on a click or key, and is open on paper."""

    summary: str
    blocks: tuple[Block, ...]
    kind: ClassVar[str] = "folded"


@dataclass(frozen=True, slots=True)
class FlowBox:
    """One box of a flow diagram: what it is, how many, and the reasons."""

    title: str
    counts: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow diagram: downwards from found to analysed and its classes, with what was left out at the side."""

    found: FlowBox
    left_out: tuple[FlowBox, ...]
    analysed: FlowBox
    classes: tuple[FlowBox, ...]
    kind: ClassVar[str] = "flow"


Block: TypeAlias = Table | Panels | Prose | Listing | Pictures | Terms | Flow | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading of its own.

    Args:
        anchor: Its name in addresses.
        title: Its heading.
        blocks: What stands in it.
        hint: What a closed section says beside its heading.
        opened: Whether a reader sees it at once.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...] = field(default=())
    hint: str = ""
    opened: bool = False
