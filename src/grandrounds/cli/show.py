"""What the terminal shows: a price list before, a bar during, a ranking after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from grandrounds.study.job import Trial
from grandrounds.study.spec import Study
from grandrounds.training.epoch import Epoch


class Terminal:
    """A listener that shows a study's progress; a plain line a trial where the output is no terminal."""

    def __init__(self) -> None:
        console = self._console = Console(stderr=True)  # results alone go to standard output
        self._bar = Progress(
            TextColumn("[bold]trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("trials", total=None, visible=False)
        self._live = Live(Text(), console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def says(self, sentence: str) -> None:
        """Print one sentence."""
        self._console.print(Text(sentence), highlight=False)

    def priced(self, study: Study, prices: pl.DataFrame) -> None:
        """Print the price list."""
        self._console.print(price_table(study, prices))

    def trials_planned(self, n_trials: int, n_done: int) -> None:
        """Start the bar."""
        if n_done:
            self.says(f"{n_done} of {n_trials} trials are there already.")
        self._bar.update(self._task, total=n_trials, completed=n_done, visible=True)

    def trials_running(self, epochs: Sequence[tuple[Trial, Epoch | None]]) -> None:
        """Refresh the bar and one line for each running trial."""
        self._live.update(Group(*(Text(_line(trial, epoch)) for trial, epoch in epochs), self._bar))

    def trial_finished(self, trial: Trial, status: str) -> None:
        """Move the bar, and say so where nobody can see a bar."""
        self._bar.advance(self._task)
        if not self._console.is_terminal or status not in ("done", "truncated"):
            self.says(f"{_where(trial)}: {status}")


@contextmanager
def watching() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that moves a bar for each thing being done; nothing is shown where the output is no terminal."""
    console = Console(stderr=True)  # results alone go to standard output
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def watch(what: str, n_done: int, n_all: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=n_all)
            bar.update(tasks[what], completed=n_done)

        yield watch


def _where(trial: Trial) -> str:
    return f"{trial.recipe.family}, repeat {trial.repeat}, fold {trial.fold}, seed {trial.study_seed}"


def _line(trial: Trial, epoch: Epoch | None) -> str:
    if epoch is None:
        return f"{_where(trial)}: starting"
    left_s = epoch.time_s / epoch.epoch * (epoch.n_epochs - epoch.epoch)
    return (
        f"{_where(trial)}: epoch {epoch.epoch}/{epoch.n_epochs}  loss {epoch.loss:.3f}  valid {epoch.valid_metric:.3f}"
        f"  {epoch.images_per_s:.0f} images/s  {left_s:.0f} s left"
    )


def price_table(study: Study, prices: pl.DataFrame) -> Table:
    """Return the price of each family: epochs, trials, minutes of one worker, memory."""
    minutes = prices["minutes"].sum() / study.means.workers
    table = Table(
        title=f"Price: about {minutes:.1f} minutes of training with {study.means.workers} trials side by side",
        title_justify="left",
    )
    for name in ("family", "trials", "epochs", "minutes", "images/s", "parameters", "memory"):
        table.add_column(name, justify="left" if name == "family" else "right", overflow="fold")
    for row in prices.iter_rows(named=True):
        table.add_row(
            row["family"], str(row["trials"]), str(row["epochs"] or "–"), f"{row['minutes']:.1f}",
            f"{row['images_per_s']:,.0f}" if row["images_per_s"] else "–",
            f"{row['parameters']:,}" if row["parameters"] else "–", f"{row['peak_mib']:.0f} MiB",
        )  # fmt: skip
    return table
