"""Text in lines that fit a terminal; what is to be copied out of it stays in one piece."""

from __future__ import annotations

import re
import textwrap

_LABEL = re.compile(r" +(where|what to do): +")
# A path may hold spaces, and so does a command; the next clause begins after a semicolon or a comma and a space.
_CLAUSE = r"(?:[^;,]|[;,](?! ))+"
_PATH = re.compile(rf"(?! ){_CLAUSE}")
_COMMAND = re.compile(rf"`[^`]*`|(?:^|(?<=: ))(?:grandrounds|pip) {_CLAUSE}|in Python: .*|--[a-z-]+ [A-Z0-9]\S*")
_GLUE = "\0"


def folded(text: str, width: int) -> str:
    """Return the text in lines that fit; a path that is longer than a line stays whole, so that it can be copied."""
    return "\n".join(line if len(line) <= width else _fill(line, width) for line in text.split("\n"))


def folded_error(text: str, width: int) -> str:
    """Return an error in lines that fit, commands and paths whole, each part in a column of its own."""
    return "\n".join(line if len(line) <= width else _part(line, width) for line in text.split("\n"))


def _part(line: str, width: int) -> str:
    """Return one part of an error: what it is, where, or what to do."""
    label = _LABEL.match(line)
    whole = _PATH if label and label[1] == "where" else _COMMAND
    start = label[0] if label else ""
    glued = whole.sub(lambda found: found[0].replace(" ", _GLUE), line[len(start) :])
    return _fill(glued, width, start).replace(_GLUE, " ")


def _fill(text: str, width: int, start: str = "") -> str:
    """Return the text in lines that begin where the first one does."""
    fold = textwrap.TextWrapper(width, initial_indent=start, break_long_words=False, break_on_hyphens=False)
    fold.subsequent_indent = " " * len(start)
    return fold.fill(text)
