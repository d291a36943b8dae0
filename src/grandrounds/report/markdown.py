"""The report as Markdown: the same sections and words, tables as tables, drawings named where they stand.

Every word from the data is escaped, so that a name is never read as a heading, a link or a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from grandrounds.report.blocks import (
    Block,
    Cell,
    Flow,
    FlowBox,
    Folded,
    Listing,
    Panels,
    Pictures,
    Prose,
    Section,
    Table,
    Terms,
)
from grandrounds.report.content import ReportContent
from grandrounds.report.page import chapters, facts, parts
from grandrounds.report.ranked import Ranked

# What makes a mark anywhere, an address, and a list, a rule or a heading at the start of a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$@]|:(?=//)|(?<=www)\.|^[-+=](?=[\s=-]|$)|(?<=^\d)[.)](?=\s|$))")
_NAMED = re.compile(r"`([^`]*)`")
_DRAWN = "*Drawn in report.html.*"


def render(content: ReportContent) -> str:
    """Return the report as Markdown."""
    ranked = Ranked.of(content)
    before, after = parts(ranked)
    lines = [f"# {escape(content.title)}", ""]
    lines += [f"**{escape(words)}**\n" for words in content.watermarks]
    lines += _told(content, facts(ranked), before, "##")
    for chapter in chapters(content):
        lines += [
            "",
            f"## {escape(chapter.title)}",
            "",
            *_told(chapter.content, chapter.facts, chapter.sections, "###"),
        ]
    lines += [line for section in after for line in ("", *_section(section, "##"))]
    return "\n".join(lines).rstrip() + "\n"


def _told(
    content: ReportContent, known: Sequence[tuple[str, str]], shown: Sequence[Section], heading: str
) -> Iterator[str]:  # fmt: skip
    """Yield the answer, the facts and the sections of the page or of a task."""
    yield from (f"{sentence(one)}\n" for one in content.verdict_sentences)
    yield from (f"- {escape(name)}: {escape(value)}" for name, value in known)
    for section in shown:
        yield from ("", *_section(section, heading))


def escape(words: str | Markup | None) -> str:
    r"""Return words as they are read, not as they would be rendered; a drawing has none.

    >>> escape("a|b <i>")
    'a\\|b \\<i\\>'
    """
    if words is None or isinstance(words, Markup):
        return ""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def sentence(words: str) -> str:
    """Return a sentence with what stands between backticks set as a name.

    >>> sentence("`svm` leads")
    '**svm** leads'
    """
    if words.count("`") % 2:  # one backtick has no partner, so they are not marks
        return escape(words)
    parts = _NAMED.split(words)
    return "".join(f"**{escape(one)}**" if at % 2 and one else _kept(one) for at, one in enumerate(parts))


def _kept(words: str) -> str:
    """Return escaped words with the blanks at either end, which part them from a name."""
    inner = escape(words)
    return f"{' ' * (words[:1] == ' ')}{inner}{' ' * (words[-1:] == ' ' and bool(inner))}"


def section(shown: Section) -> str:
    """Return one section under a heading of the second order."""
    return "\n".join(_section(shown, "##"))


def _section(section: Section, heading: str) -> Iterator[str]:
    yield f"{heading} {escape(section.title)}"
    for block in section.blocks:
        yield from ("", *_block(block))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block)
        case Prose():
            lines = [f"- {sentence(one)}" if block.listed else sentence(one) for one in block.sentences]
            yield ("\n" if block.listed else "\n\n").join(lines)
        case Listing():
            yield from _listing(block)
        case Terms():
            yield from (f"- **{escape(term)}**: {escape(meaning)}" for term, meaning in block.entries)
        case Flow():
            yield from _flow(block)
        case Panels():
            yield from _panels(block)
        case Pictures():
            yield f"{escape(block.title)}: {len(block.images)} pictures. {_DRAWN}"
        case Folded():
            yield f"**{escape(block.summary)}**"
            for inner in block.blocks:
                yield from ("", *_block(inner))


def _table(table: Table) -> Iterator[str]:
    shown = [at for at, _ in enumerate(table.columns) if not _is_drawn(table, at)]
    yield f"{sentence(table.caption)}\n"
    heads = [_joined(table.columns[at].title, table.columns[at].detail) for at in shown]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---:' if table.columns[at].numeric else '---' for at in shown)}|"
    for row in table.rows:
        yield f"| {' | '.join(_cell(row[at]) for at in shown)} |"
    if table.notes:
        yield from ("", *(f"- {sentence(note)}" for note in table.notes))


def _is_drawn(table: Table, at: int) -> bool:
    """Return whether a column holds drawings alone, whose numbers stand in the column before."""
    return isinstance(table.columns[at].title, Markup)


def _cell(cell: Cell) -> str:
    text = "" if isinstance(cell.text, Markup) else sentence(cell.text or "")
    parts = [text, f"({escape(cell.detail)})" if cell.detail else "", f"*{escape(cell.tag)}*" if cell.tag else ""]
    return " ".join(part for part in parts if part)


def _joined(title: str | Markup, detail: str | Markup) -> str:
    return ", ".join(part for part in (escape(title), escape(detail)) if part)


def _panels(panels: Panels) -> Iterator[str]:
    yield f"{sentence(panels.caption)}"
    for panel in panels.panels:
        if isinstance(panel, Table):
            yield from ("", *_table(panel))
    if any(isinstance(panel, Markup) for panel in panels.panels):
        yield f"\n{_DRAWN}"


def _flow(flow: Flow) -> Iterator[str]:
    for box in (flow.found, *flow.left_out, flow.analysed, *flow.classes):
        yield from _box(box)


def _box(box: FlowBox) -> Iterator[str]:
    yield f"- **{escape(box.title)}** {escape(box.counts)}"
    yield from (f"  - {escape(line)}" for line in box.lines)


def _listing(listing: Listing) -> Iterator[str]:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", listing.text)), default=0))
    yield f"{escape(listing.label)}:\n\n{fence}text\n{listing.text.rstrip()}\n{fence}"
