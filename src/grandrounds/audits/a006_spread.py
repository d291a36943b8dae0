"""A006: does a claimed difference vary more between folds or seeds than it is large?

The primary metric is computed for each fold and seed at the level at which families were compared, and the difference
between two families taken within each. Where the standard deviation of these differences exceeds their mean, training
or splitting anew might well turn the order.

Assumes: runs are exchangeable; folds share training patients, so that their spread is, if anything, too small.

Reference: Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys (2021).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.audits.standing import paired
from grandrounds.evaluate.bootstrap import resample
from grandrounds.evaluate.catalogue import MetricEntry
from grandrounds.evaluate.cohort import assemble
from grandrounds.tables import Task
from grandrounds.wording import with_sign

Run = tuple[int, int, int]  # repeat, fold, seed


def audit(tables: AuditTables) -> Finding:
    """Return a finding where a difference that is claimed is smaller than its spread over folds and seeds."""
    stand = paired(tables)
    rows = tables.compared
    if stand is None or rows is None or rows.is_empty() or tables.task is None:
        return not_applicable("there are no predictions with scores and comparisons")
    claims = [
        (a, b) for (a, b), pair in stand.pairs.items() if pair.verdict == "better" and not {a, b} <= set(stand.floors)
    ]
    if not claims:
        return Finding("passed", "No difference is claimed.")
    values = _by_run(rows, tables.task, stand.metric)
    spreads = list(_spreads(claims, values))
    if not spreads:
        return not_applicable("no two families share more than one fold or seed")
    wide = [words for words, difference, spread in spreads if spread > abs(difference)]
    if not wide:
        return Finding("passed", f"Each of {counted(len(spreads), 'claimed difference')} is larger than its spread.")
    return Finding(
        "finding",
        f"{len(wide):,} of {counted(len(spreads), 'claimed difference')} {'vary' if len(wide) > 1 else 'varies'} more "
        "between folds and seeds than it is large: another split or training might turn the order round.",
        tuple(wide[:MOST_ROWS]),
    )


def _by_run(predictions: pl.DataFrame, task: Task, metric: MetricEntry) -> dict[str, dict[Run, float]]:
    """Return one metric of each family in each fold and seed of the test role."""
    cohort = assemble(predictions, task)
    measured = resample(cohort, 0, 0, metrics=(metric,), threads=1)
    cells = list(measured.columns[measured.at(metric.name)].cells)
    return {
        family: {
            (group.repeat, group.fold, group.seed): float(row)
            for group, row in zip(cohort.of(family), table[:, cells].mean(axis=1), strict=True)
        }
        for family, table in zip(measured.families, measured.by_group, strict=True)
    }


def _spreads(claims: list[tuple[str, str]], values: dict[str, dict[Run, float]]) -> Iterator[tuple[str, float, float]]:
    """Yield each claim in words, with the mean and the standard deviation of its difference over shared runs."""
    for a, b in claims:
        shared = sorted(values.get(a, {}).keys() & values.get(b, {}).keys())
        differences = np.array([values[a][run] - values[b][run] for run in shared])
        differences = differences[np.isfinite(differences)]
        if len(differences) > 1:
            mean, spread = float(differences.mean()), float(differences.std(ddof=1))
            average = f"{with_sign(mean)} on average of {len(differences)} runs"
            yield f"{a} minus {b}: {average}, standard deviation {spread:.3f}", mean, spread
