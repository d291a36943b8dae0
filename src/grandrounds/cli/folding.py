"""Text in lines that fit a terminal; what is to be copied out of it stays in one piece."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_START = re.compile(r" *(?:(?<= )(where|what to do): +)?")
# A path may hold spaces, and so does a command; the next clause begins after a semicolon or a comma and a space.
_CLAUSE = r"(?:[^;,]|[;,](?! ))+"
_PATH = re.compile(rf"(?! ){_CLAUSE}")
_COMMAND = re.compile(rf"`[^`]*`|(?:^|(?<=: ))(?:grandrounds|pip) {_CLAUSE}|in Python: .*|--[a-z-]+ [A-Z0-9]\S*")
_GLUE = "\0"


def folded(text: str, width: int) -> str:
    """Return the text in lines that fit, which go on where the first of them begins.

    A path or a command that is longer than a line stays whole, so that it can be copied.
    """
    return "\n".join(line if len(line) <= width else _fill(line, width) for line in text.split("\n"))


def _fill(line: str, width: int) -> str:
    start = _START.match(line)
    assert start is not None  # the pattern takes nothing too
    whole = _PATH if start[1] == "where" else _COMMAND
    text = whole.sub(lambda found: found[0].replace(" ", _GLUE), line[start.end() :])
    fold = textwrap.TextWrapper(width, initial_indent=start[0], break_long_words=False, break_on_hyphens=False)
    fold.subsequent_indent = " " * len(start[0])
    return fold.fill(text).replace(_GLUE, " ")


@dataclass(frozen=True)
class Dotted:
    """A name of parts with dots between them, which goes on below itself after a dot where a column is too narrow.

    Args:
        name: Such as that of a layer.
    """

    name: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield as many parts a line as fit."""
        yield Text("\n".join(_parted(self.name, options.max_width)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the widths of the longest part and of the whole."""
        return Measurement(max(len(part) + 1 for part in self.name.split(".")), len(self.name))


def _parted(name: str, width: int) -> list[str]:
    lines = [""]
    for part in re.findall(r"[^.]*\.?", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return lines
