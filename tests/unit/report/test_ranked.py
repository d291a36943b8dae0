"""The order of families, the mirror of a comparison, and the terminal's table."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import polars as pl
import pytest
from rich.console import Console

from grandrounds.report import ReportContent
from grandrounds.report.palette import looks
from grandrounds.report.ranked import Ranked
from grandrounds.report.terminal import ranking


def test_best_is_first(content: ReportContent) -> None:
    """Families stand in the order of the primary metric."""
    assert Ranked.of(content).families[:2] == ("resnet-18", "lbp-svm")


def test_lower_may_be_better(content: ReportContent) -> None:
    """With the Brier score as primary metric the lowest value leads."""
    ranked = Ranked.of(dataclasses.replace(content, primary="brier"))
    values = [ranked.score(family, "brier").estimate for family in ranked.families]

    assert values == sorted(values)


def test_family_without_a_score_is_last(content: ReportContent) -> None:
    """A family whose trials failed has no score and is not forgotten."""
    ranked = Ranked.of(
        dataclasses.replace(content, scores=content.scores.filter(content.scores["family"] != "lbp-svm"))
    )

    assert ranked.families[-1] == "lbp-svm"
    assert "lbp-svm" not in ranked.scored


def test_comparison_reads_the_same_from_both_sides(content: ReportContent) -> None:
    """Turning a pair round turns sign, interval and verdict."""
    ranked = Ranked.of(content)
    one, other = ranked.versus("resnet-18", "prior"), ranked.versus("prior", "resnet-18")

    assert one is not None
    assert other is not None
    assert (one.verdict, other.verdict) == ("better", "worse")
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))


def test_each_family_has_a_look_of_its_own() -> None:
    """Forty families differ in colour, marker or dash, and floors are grey."""
    names = [f"family {index}" for index in range(35)]
    given = looks([*names, "prior"], floors=("prior",))

    assert len(set(given.values())) == 36
    assert given["prior"].colour.startswith("g")


def test_terminal_shows_names_as_they_are(content: ReportContent) -> None:
    """Square brackets in a title are no markup, and the ranking is complete."""
    console = Console(width=160, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(ranking(dataclasses.replace(content, title="[bold]x[/bold]")))

    assert "[bold]x[/bold]" in capture.get()
    assert "lbp-svm (ships)" in capture.get()
    assert capture.get().index("resnet-18") < capture.get().index("prior")


def test_narrow_terminal_keeps_long_names_whole(content: ReportContent) -> None:
    """A name that is longer than its column goes on below, so that two recipes of one network can be told apart."""
    name = "slices:resnet-18@attention"
    scores = content.scores.with_columns(family=pl.col("family").replace("prior", name))
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    console.print(ranking(dataclasses.replace(content, scores=scores)))
    first_column = "".join(line.split("│")[1].strip() for line in console.export_text().splitlines() if "│" in line)

    assert name in first_column


def test_report_imports_nothing_heavy() -> None:
    """Neither torch nor matplotlib nor scikit-learn nor scipy comes with the report."""
    heavy = "torch, matplotlib, sklearn, scipy.stats, numba"
    code = f"import sys, grandrounds.report; sys.exit(any(name in sys.modules for name in '{heavy}'.split(', ')))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
