"""A016: is the best family better than labels that were handed out at random?

The labels of the tested patients are exchanged among them a thousand times, each patient's as one block, and the area
under the ROC curve (mean of one-vs-rest, over folds and seeds) of what was compared, samples, cases or patients, is
taken each time. A result that random labels reach in
more than one of twenty draws shows nothing.

Assumes: under the hypothesis patients are exchangeable, whatever their number of images.

Cannot see: a leak, which makes random labels look good in training too. For that, train on labels exchanged among
patients: the scores have to fall to chance, and the conformance tests of families do this.

Reference: Ojala & Garriga, Journal of Machine Learning Research 11:1833 (2010).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grandrounds import seeds
from grandrounds.audits.areas import areas
from grandrounds.audits.protocol import AuditTables, Finding, not_applicable
from grandrounds.audits.standing import standing
from grandrounds.tables import PROB, Task

_DRAWS, _LEAST, _LEVEL = 999, 6, 0.05


def audit(tables: AuditTables) -> Finding:
    """Return a finding where the best contender is not shown to be better than random labels."""
    stand, rows = standing(tables), tables.compared
    if stand is None or rows is None or tables.task is None or not stand.contenders:
        return not_applicable("there are no predictions of a family with scores")
    best = stand.contenders[0]
    tested = rows.filter(pl.col("role") == "test", pl.col("family") == best, pl.col("label").is_not_null())
    tested = tested.with_columns(person=pl.coalesce("patient", "case", "sample"))
    people = tested.group_by("person", maintain_order=True).agg(pl.col("label").unique())
    people = people.filter(pl.col("label").list.len() == 1).with_columns(pl.col("label").list.first())
    counts = people["label"].value_counts()["count"]
    if people.height < 2 * _LEAST or len(counts) < 2 or counts.sort(descending=True)[1] < _LEAST // 2:
        return not_applicable("too few patients of one class each are tested")
    tested = tested.join(people.select("person"), on="person", how="semi", maintain_order="left")
    seen, drawn = _areas(tested, people, tables.task)
    p = (1 + int((drawn >= seen - 1e-12).sum())) / (1 + len(drawn))
    allowed = float(np.quantile(drawn, 1 - _LEVEL))
    words = f"by {stand.unit}, `{best}` reaches {seen:.3f}, random labels {allowed:.3f} in one draw of twenty"
    if p <= _LEVEL:
        return Finding("passed", f"The best result is more than random labels allow (p = {p:.3f}): {words}.")
    return Finding(
        "finding",
        f"The best result is not shown to be more than random labels allow (p = {p:.2f}): {words}.",
    )


def _areas(rows: pl.DataFrame, people: pl.DataFrame, task: Task) -> tuple[float, NDArray[np.float64]]:
    """Return the mean area under the ROC curve, and those (draws,) of labels that were exchanged among patients."""
    random = seeds.generator(0, "random labels")
    index = {label: k for k, label in enumerate(task.classes)}
    truth = np.array([index[label] for label in people["label"]])
    labels = np.stack([truth, *(random.permutation(truth) for _ in range(_DRAWS))])  # (1 + draws, people)
    place = {person: k for k, person in enumerate(people["person"])}
    found = []
    for part in rows.partition_by("repeat", "fold", "seed"):
        of_row = labels[:, [place[person] for person in part["person"]]]  # (1 + draws, rows)
        for label, k in index.items():
            found.append(areas(part[PROB + label].to_numpy(), of_row == k))
    mean = np.nanmean(np.stack(found), axis=0)  # (1 + draws,)
    return float(mean[0]), mean[1:][np.isfinite(mean[1:])]
