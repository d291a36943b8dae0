"""What turns blocks into HTML: the templates, with every word escaped, and names in sentences set as names."""

from __future__ import annotations

import jinja2
from markupsafe import Markup, escape

from grandrounds.report import svg


def environment() -> jinja2.Environment:
    """Return the templates; `str` is escaped everywhere, only `Markup` made by `svg.tag` is not."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("grandrounds.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["names"] = names
    return made


def names(sentence: str | Markup | None) -> Markup:
    """Return a sentence with what stands between backticks set as a name; a drawing as it is, nothing for None."""
    if sentence is None or isinstance(sentence, Markup):
        return Markup("") if sentence is None else sentence
    parts = sentence.replace("95 %", "95\N{NO-BREAK SPACE}%").split("`")
    if len(parts) % 2 == 0:  # one backtick has no partner, so they are not marks
        return escape("`".join(parts))
    return Markup("").join(svg.tag("b", part) if index % 2 else part for index, part in enumerate(parts))
