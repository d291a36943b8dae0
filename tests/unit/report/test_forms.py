"""The other forms of the report: Markdown in which names stay names, and CSV that a spreadsheet may open."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import polars as pl
import pytest
from markdown_it import MarkdownIt

from grandrounds.report import ReportContent, write_all
from grandrounds.report.markdown import render
from grandrounds.report.writing import plain


def tokens(text: str) -> list[str]:
    """Return the kinds of everything that Markdown makes of a text, HTML and bare addresses included."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    return [one.type for token in parser.parse(text) for one in (token, *(token.children or ()))]


def test_it_has_every_heading_and_table_of_the_page(content: ReportContent) -> None:
    """A section of the page is a heading; the ranking is a table with its numbers."""
    text = render(content)

    assert text.startswith("# Lung patterns: which family reads them best?")
    for heading in ("Ranking", "Is the difference real?", "Class by class", "Leak certificate", "Methods, in words"):
        assert f"\n## {heading}\n" in text
    assert "| resnet-18 | 0.940 (0.882 to 0.998) |" in text
    assert tokens(text).count("table_open") > 10
    assert "*Drawn in report.html.*" in text
    assert "<svg" not in text


def test_payloads_stay_text(hostile_content: ReportContent) -> None:
    """Sixty attacks make no tag, no link and no picture."""
    made = set(tokens(render(hostile_content)))

    assert not made & {"html_block", "html_inline", "link_open", "image"}


def test_a_name_cannot_break_out_of_its_cell(content: ReportContent) -> None:
    """A name with bars, line ends and marks is one cell of one row."""
    title = "a | b\n# c `d` *e* [f](http://g) 1. h"
    first = render(dataclasses.replace(content, title=title)).splitlines()[0]

    assert first == r"# a \| b \# c \`d\` \*e\* \[f\](http\://g) 1. h"


def test_three_forms_lie_beside_each_other(content: ReportContent, tmp_path: Path) -> None:
    """One call writes the page, the Markdown and a CSV for each table that is not empty."""
    page = write_all(content, tmp_path)

    assert page == tmp_path / "report.html"
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.md", "csv"}
    assert {path.stem for path in (tmp_path / "csv").iterdir()} == {
        "scores",
        "comparisons",
        "curves",
        "findings",
        "trials",
    }
    with (tmp_path / "csv" / "scores.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == content.scores.height


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_text_is_no_formula(start: str) -> None:
    """What a spreadsheet would calculate is kept as text; numbers are left alone."""
    frame = plain(pl.DataFrame({"family": [f"{start}1+1", "svm"], "low": [-0.5, 1.0], "rows": [["a", "b"], []]}))

    assert frame["family"].to_list() == [f"'{start}1+1", "svm"]
    assert frame["low"].to_list() == [-0.5, 1.0]
    assert frame["rows"].to_list() == ["a; b", ""]
