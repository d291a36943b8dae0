"""The ladder of levels: predictions of samples lifted to cases and to patients, each trial by a rule of its own.

A sample is an image that a model reads, a case what a reader decides about, a patient who is treated. `lift` turns a
predictions table of samples into one of cases or of patients, so that whatever judges the one judges the others: a
lifted row stands for a case, or a patient, and has its name for a sample. The rule of a trial is chosen on its own
valid rows and never sees another role.

A case of a binary task is positive where one of its samples is, one of an ordinal task is as bad as its worst sample.
Several unordered classes within one case have no such order: then there is no such level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import tables
from grandrounds.errors import BadData
from grandrounds.evaluate.aggregation import Rule, chosen, combined, declared
from grandrounds.evaluate.answer import Combination, RuleName
from grandrounds.evaluate.catalogue import MetricEntry, positive_of
from grandrounds.evaluate.cohort import CELL
from grandrounds.shapes import ClassIndex, Probs
from grandrounds.tables import PROB, Task, Unit

UNITS: tuple[Unit, ...] = ("sample", "case", "patient")
Wanted = Unit | Literal["auto"]  # "auto": cases, or samples where those of a case have several labels
Choice = RuleName | Literal["valid"] | float  # "valid": each trial chooses on its valid rows; a number: see `Rule`
Key = tuple[str, int, int, int]  # family, repeat, fold, seed


@dataclass(frozen=True, slots=True)
class _Trial:
    """The rows of one trial in one or more roles, sorted by role and unit.

    Args:
        units: One row a unit and role, its label settled.
        place: (N,) which of these each sample is of.
        probs: (N, K).
    """

    units: pl.DataFrame
    place: NDArray[np.int64]
    probs: Probs

    @property
    def is_of_one_mind(self) -> bool:
        """Whether all samples of a unit got the same probabilities: then the family read the units themselves."""
        first = np.searchsorted(self.place, self.place)  # (N,) the first sample of each one's unit
        return np.array_equal(self.probs, self.probs[first])

    def label(self, task: Task) -> ClassIndex:
        """Return the true class of each unit, (U,)."""
        return self.units["label"].replace_strict(task.classes, range(len(task.classes))).to_numpy()


def ladder(rows: pl.DataFrame, task: Task) -> tuple[Unit, ...]:
    """Return the levels that differ from the one below them and that the labels allow, lowest first.

    Where a family predicted cases and not their samples, the ladder begins at cases.

    Args:
        rows: Predictions, as `cohort.checked` returns them.
        task: What was to be told.
    """
    first: Unit = "case" if (rows["unit"] == "case").any() else "sample"
    pairs: tuple[tuple[Unit, Unit], ...] = (("sample", "case"), ("case", "patient"))
    higher = (
        unit
        for below, unit in pairs
        if unit != first and rows[unit].n_unique() < rows[below].n_unique() and not _torn(rows, task, unit)
    )
    return (first, *higher)


def settled(wanted: Wanted, rows: pl.DataFrame, task: Task) -> Unit:
    """Return the level at which families are compared: of levels that have the same rows the lowest.

    Args:
        wanted: What was declared.
        rows: Predictions, as `cohort.checked` returns them.
        task: What was to be told.

    Raises:
        BadData: The samples of a case, or of a patient, have several classes that nobody can put in order.
    """
    levels = ladder(rows, task)
    if wanted == "auto":
        return "case" if "case" in levels and not _several(rows, "case") else levels[0]
    if torn := _torn(rows, task, wanted):
        raise BadData(
            f"{torn} {wanted}s have samples of several classes, which have no order: nobody can judge by {wanted}",
            remedy="judge by sample: --by sample",
        )
    at_most = [unit for unit in levels if UNITS.index(unit) <= UNITS.index(wanted)]
    return (at_most or levels[:1])[-1]


def rules(rows: pl.DataFrame, task: Task, unit: Unit, entry: MetricEntry, choice: Choice = "valid") -> dict[Key, Rule]:
    """Return the rule of each trial, chosen on its valid rows; the mean where it has none, and none for samples.

    Args:
        rows: Predictions of any roles, as `cohort.checked` returns them.
        task: What was to be told.
        unit: To which level samples are lifted.
        entry: The metric that chooses.
        choice: A rule that was declared, or `"valid"`; a number is the share of a *fraction*.
    """
    if unit == "sample":
        return {}
    found = dict.fromkeys(_keys(rows), _declared(choice))
    for key, trial in _trials(rows.filter(pl.col("role") == "valid"), task, unit):
        if trial.is_of_one_mind:
            found[key] = Rule()
            continue
        seen = trial.label(task), trial.probs, trial.place, task
        if choice == "valid":
            found[key] = chosen(*seen, entry)
        elif not isinstance(choice, float):
            found[key] = declared(choice, *seen)
    return found


def _declared(choice: Choice) -> Rule:
    """Return the rule that stands where no valid rows speak."""
    if isinstance(choice, float):
        return Rule(name="fraction", share=choice)
    return Rule() if choice == "valid" else Rule(name=choice)


def lift(rows: pl.DataFrame, task: Task, unit: Unit, by: Mapping[Key, Rule]) -> pl.DataFrame:
    """Return the predictions of cases, or of patients; those of samples as they are.

    Args:
        rows: Predictions of any roles, as `cohort.checked` returns them.
        task: What was to be told.
        unit: To which level.
        by: The rule of each trial, from `rules`.

    Raises:
        BadData: A case belongs to two patients.
    """
    if unit == "sample":
        return rows
    _check_owners(rows, unit)
    lifted = []
    for key, trial in _trials(rows, task, unit):
        rule = Rule() if trial.is_of_one_mind else by.get(key, Rule())
        probs = combined(trial.probs, trial.place, rule, task)
        columns = {f"{PROB}{name}": probs[:, at] for at, name in enumerate(task.classes)}
        lifted.append(trial.units.with_columns(**{name: pl.Series(values) for name, values in columns.items()}))
    return pl.concat(lifted).with_columns(unit=pl.lit(unit), sample=pl.col(unit))


def record(by: Mapping[Key, Rule]) -> tuple[Combination, ...]:
    """Return the rules as a run keeps them."""
    return tuple(
        Combination(family=family, repeat=repeat, fold=fold, seed=seed, rule=rule.name, share=rule.share)
        for (family, repeat, fold, seed), rule in by.items()
    )


def remembered(made: Iterable[Combination]) -> dict[Key, Rule]:
    """Return the rules that a run kept: the inverse of `record`."""
    return {(one.family, one.repeat, one.fold, one.seed): Rule(name=one.rule, share=one.share) for one in made}


def in_words(made: Iterable[Combination]) -> dict[str, str]:
    """Return for each family its rules in words, the most frequent first, counted where there are several.

    >>> in_words([Combination(family="cnn", repeat=0, fold=k, seed=0, rule="max" if k else "mean") for k in range(3)])
    {'cnn': 'max (2), mean (1)'}
    """
    counts: dict[str, Counter[str]] = {}
    for one in made:
        counts.setdefault(one.family, Counter())[str(Rule(name=one.rule, share=one.share))] += 1
    return {
        family: ", ".join(word if len(count) == 1 else f"{word} ({n})" for word, n in count.most_common())
        for family, count in counts.items()
    }


def _keys(rows: pl.DataFrame) -> list[Key]:
    return [(str(family), *place) for family, *place in rows.select(CELL).unique(maintain_order=True).iter_rows()]


def _trials(rows: pl.DataFrame, task: Task, unit: Unit) -> Iterator[tuple[Key, _Trial]]:
    by = [*CELL, "role", unit]
    rows = rows.sort(*by, "sample").with_columns(__unit=pl.struct(by).rle_id())
    for part in rows.partition_by(CELL, maintain_order=True):
        units = part.group_by("__unit", maintain_order=True).agg(
            pl.exclude("label", "__unit").first(), one_label(task).alias("label")
        )
        place = part["__unit"].to_numpy().astype(np.int64)
        key = _keys(part)[0]
        yield key, _Trial(units.select(rows.columns[:-1]), place - place[0], tables.probs_of(part))


def one_label(task: Task) -> pl.Expr:
    """Return the label of a unit from those of its samples; where all are alike it is theirs."""
    label, positive = pl.col("label"), positive_of(task)
    if positive is not None:
        return pl.when((label == positive).any()).then(pl.lit(positive)).otherwise(label.first())
    return label.sort_by(label.replace_strict(task.classes, range(len(task.classes)))).last()


def _several(rows: pl.DataFrame, unit: Unit) -> int:
    """Return how many units have samples of several labels."""
    labels = rows.group_by(unit).agg(pl.col("label").n_unique().alias("n"))
    return labels.filter(pl.col("n") > 1).height


def _torn(rows: pl.DataFrame, task: Task, unit: Unit) -> int:
    return _several(rows, unit) if task.kind == "multiclass" else 0


def _check_owners(rows: pl.DataFrame, unit: Unit) -> None:
    owners = rows.group_by(unit).agg(pl.col("patient").n_unique().alias("n")).filter(pl.col("n") > 1)
    if owners.height:
        raise BadData(
            f"{owners.height} {unit}s belong to several patients" if owners.height > 1
            else f"a {unit} belongs to several patients", where=f"{unit} {owners.sort(unit)[unit][0]}",
            remedy="give every case a name of its own",
        )  # fmt: skip
