"""What the trials of a family took, as the report prints it."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from grandrounds.report.rounding import amount, count, size, span

_DONE = ("done", "truncated")


class Cost(NamedTuple):
    """Medians over the finished trials of one family; None where nobody measured."""

    n_done: int
    n_trials: int
    fit_s: float | None
    all_fit_s: float
    epochs: float | None
    best_epoch: float | None
    predict_s: float | None
    latency_ms: float | None
    n_parameters: float | None
    size_bytes: float | None
    peak_mib: float | None
    least_threads: int | None
    most_threads: int | None

    def cells(self) -> tuple[str, ...]:
        """Return the row of the cost table."""
        epochs = f"{count(self.best_epoch)} / {count(self.epochs)}" if self.epochs else "none"
        return (
            f"{self.n_done} of {self.n_trials}" if self.n_done < self.n_trials else str(self.n_trials),
            amount(self.fit_s),
            amount(self.all_fit_s),
            epochs,
            amount(self.fit_s / self.epochs if self.fit_s is not None and self.epochs else None),
            amount(self.predict_s),
            amount(self.latency_ms),
            count(self.n_parameters),
            size(self.size_bytes),
            amount(self.peak_mib),
            span(self.least_threads, self.most_threads),
        )


def costs(trials: pl.DataFrame) -> dict[str, Cost]:
    """Return the cost of each family that has trials."""
    done = pl.col("status").is_in(_DONE)
    middle = ("epochs", "best_epoch", "predict_s", "latency_ms", "n_parameters", "size_bytes", "peak_mib")
    summary = trials.group_by("family", maintain_order=True).agg(
        done.sum(),
        pl.len().alias("n_trials"),
        pl.col("fit_s").filter(done).median(),
        pl.col("fit_s").sum().alias("all_fit_s"),
        *(pl.col(name).filter(done).median() for name in middle),
        pl.col("threads").min().alias("least_threads"),
        pl.col("threads").max().alias("most_threads"),
    )
    return {family: Cost(*rest) for family, *rest in summary.iter_rows()}
