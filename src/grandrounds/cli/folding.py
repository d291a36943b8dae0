"""Text in lines that fit a terminal; what is to be copied out of it stays in one piece."""

from __future__ import annotations

import re
import textwrap

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
