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
from grandrounds.report.rounding import interval
from grandrounds.report.terminal import Ranking


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
    said = "\n".join(_printed(dataclasses.replace(content, title="[bold]x[/bold]"), 160))

    assert "[bold]x[/bold]" in said
    assert "lbp-svm (ships)" in said
    assert said.index("resnet-18") < said.index("prior")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_number_is_broken_however_narrow_the_terminal(content: ReportContent, width: int) -> None:
    """Each family has one line, with its value and interval whole; what does not fit beside them is left out."""
    name = "deit-tiny@pretrained-teacher"
    frames = {key: _called(getattr(content, key), {"lbp-svm": name}) for key in ("scores", "trials")}
    shown = dataclasses.replace(content, **frames, ships=name)
    unread = pl.when(family="metadata").then(pl.lit("not applicable")).otherwise("status")
    shown = dataclasses.replace(shown, trials=shown.trials.with_columns(status=unread))

    lines = _printed(shown, width)

    ranked = Ranked.of(shown)
    assert max(map(len, lines)) <= width
    for family in ranked.scored:
        score = ranked.score(family, "auc")
        assert any(family in line and interval(score.low, score.high) in line for line in lines)
    assert any("metadata (not applicable)" in line for line in lines)


def test_a_wide_terminal_shows_costs_and_a_narrow_one_says_where_they_are(content: ReportContent) -> None:
    """What is left out of the ranking stands in the report."""
    assert "fit s" in "".join(_printed(content, 80))
    narrow = "".join(_printed(content, 50))
    assert "fit s" not in narrow
    assert "more in the report" in narrow


def _printed(content: ReportContent, width: int) -> list[str]:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(Ranking(content))
    return [line.rstrip() for line in capture.get().splitlines()]


def _called(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    return frame.with_columns(family=pl.col("family").replace(names))


def test_narrow_terminal_keeps_long_names_whole(content: ReportContent) -> None:
    """A name that is longer than its column goes on below, so that two recipes of one network can be told apart."""
    name = "slices:resnet-18@attention"
    scores = content.scores.with_columns(family=pl.col("family").replace("prior", name))
    lines = _printed(dataclasses.replace(content, scores=scores), 40)
    first_column = "".join(line.split("│")[1].strip() for line in lines if "│" in line)

    assert name in first_column


def test_report_imports_nothing_heavy() -> None:
    """Neither torch nor matplotlib nor scikit-learn nor scipy comes with the report."""
    heavy = "torch, matplotlib, sklearn, scipy.stats, numba"
    code = f"import sys, grandrounds.report; sys.exit(any(name in sys.modules for name in '{heavy}'.split(', ')))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
