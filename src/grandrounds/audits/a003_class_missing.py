"""A003: does a role of a fold lack a class?"""

from __future__ import annotations

import polars as pl

from grandrounds.audits.placing import FOLD, at, by_unit, placed
from grandrounds.audits.protocol import MOST_ROWS, AuditTables, Finding, counted, not_applicable
from grandrounds.audits.standing import standing

_GRAVE = ("train", "test", "external")  # without a class in `valid` the choice of an epoch is only poorer


def audit(tables: AuditTables) -> Finding:
    """Return a finding where train or test lacks a class, a tip where only another role does."""
    rows = placed(tables)
    if rows is None:
        return not_applicable("there is neither a split with labels nor a predictions table with roles")
    classes = tables.task.classes if tables.task is not None else tuple(sorted(rows["label"].unique()))
    if len(classes) < 2:
        return not_applicable("there is only one class")
    stand = standing(tables)
    if stand is not None and tables.task is not None:  # trained on are cases, whatever is compared
        judged = by_unit(rows.filter(pl.col("role") != "train"), stand.unit, tables.task)
        rows = pl.concat([rows.filter(role="train"), judged.select(rows.columns)])
    lacking = _lacking(rows, classes)
    n_places = rows.select(*FOLD, "role").n_unique()
    if not lacking:
        return Finding("passed", f"Each of {counted(n_places, 'role')} in the folds has all {len(classes)} classes.")
    grave = [one for one in lacking if one[0] in _GRAVE]
    listed = tuple(words for _, words in [*grave, *(one for one in lacking if one not in grave)][:MOST_ROWS])
    found = f"{len(lacking):,} of {counted(n_places, 'role')} in the folds {'lack' if len(lacking) > 1 else 'lacks'}"
    if not grave:
        return Finding("tip", f"{found} a class, none of them train or test: what is chosen there knows less.", listed)
    return Finding(
        "finding",
        f"{found} a class, {len(grave):,} of them train or test: a class that is not trained on cannot be learned, and "
        "one that is not tested on has no recall and no AUC.",
        listed,
    )


def _lacking(rows: pl.DataFrame, classes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return role and words of each role of a fold that lacks a class."""
    held = rows.group_by(*FOLD, "role").agg(pl.col("label").unique()).sort(*FOLD, "role")
    found = []
    for repeat, fold, role, labels in held.iter_rows():
        missing = [name for name in classes if name not in labels]
        if missing:
            found.append((role, f"{at(repeat, fold)}: {role} has no {', '.join(missing)}"))
    return found
