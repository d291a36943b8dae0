"""What commands print: sentences that fit the terminal, the answer of a report, the end of a run."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from grandrounds import api
from grandrounds.cli import FAILED, listing
from grandrounds.cli.folding import folded
from grandrounds.errors import BadData
from grandrounds.report.content import ReportContent
from grandrounds.report.terminal import Ranking, findings, open_findings
from grandrounds.running import Outcome

console = Console()


def conclude(outcome: Outcome, json_: bool) -> None:  # noqa: FBT001
    """Print what a run found; end with what it could not finish.

    Raises:
        BadData: A task of several could not be finished.
    """
    _tell(outcome, json_)
    if outcome.failed:
        raise BadData(" ".join(outcome.failed), where=outcome.folder)
    if outcome.failed_trials:
        sys.exit(FAILED)


def _tell(outcome: Outcome, json_: bool) -> None:  # noqa: FBT001
    content = outcome.shown or api.content(outcome.folder)
    if json_:
        console.print_json(
            json.dumps(
                {
                    "folder": str(outcome.folder),
                    "report": str(outcome.report),
                    "ships": outcome.ships,
                    "verdict": outcome.sentences,
                    "findings": open_findings(content).select("audit", "title", "sentence").to_dicts(),
                    "failed_trials": outcome.failed_trials,
                    "did_something": outcome.did_something,
                }
            )
        )
        return
    if not outcome.did_something:
        say("Everything was there already; nothing was trained.")
    answer(content)
    for sentence in listing.failed_lines(outcome.failed_trials):
        say(sentence)
    say(f"\nReport: {outcome.report}")


def answer(content: ReportContent) -> None:
    """Print what a report says first: the ranking, the verdict, what the audits found."""
    console.print(Ranking(content))
    for sentence in (*content.verdict_sentences, findings(content)):
        if sentence:
            say(sentence)


def say(sentence: str) -> None:
    """Print a sentence, folded where a terminal shows it."""
    text = folded(sentence, console.width)
    console.print(text, highlight=False, markup=False, overflow="ignore", crop=False)
