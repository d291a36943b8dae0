"""The sections that look inside the score: by class, by threshold, by probability and by epoch."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from markupsafe import Markup

from grandrounds.evaluate.catalogue import METRICS, TREAT_ALL, positive_of
from grandrounds.report import plots
from grandrounds.report.blocks import Cell, Column, Folded, Panels, Prose, Section, Table
from grandrounds.report.plots import Curve, Run
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, opened, share
from grandrounds.wording import percent

_DRAWN = ("recall", "precision")


def by_class(ranked: Ranked) -> Section | None:
    """Return recall and precision of every class and family, as bars and as numbers."""
    drawn = [metric for metric in _DRAWN if ranked.has(metric, by_class=True)]
    listed = [entry.name for entry in METRICS if ranked.has(entry.name, by_class=True)]
    if not listed:
        return None
    figures = tuple(_bars(ranked, metric) for metric in drawn)
    numbers = Folded("The numbers, with the other metrics by class", tuple(_numbers(ranked, name) for name in listed))
    why = ranked.reasons(drawn, by_class=True)
    undefined = (Folded("Why some are undefined", (Prose(why, listed=True),)),) if why else ()
    blocks = (*_positive(ranked), *_three(ranked), *figures, *undefined, numbers)
    return Section("classes", "Class by class", blocks)


def _three(ranked: Ranked) -> tuple[Table, ...]:
    """Return accuracy, specificity and sensitivity of each family, as papers on two classes table them."""
    positive = positive_of(ranked.content.task)
    wanted = (("accuracy", None), ("specificity", positive), ("recall", positive))
    if positive is None or not all(ranked.has(name, by_class=label is not None) for name, label in wanted):
        return ()
    rows = []
    for family in ranked.families:
        scores = [ranked.score(family, name, label) for name, label in wanted]
        cells = (Cell(share(one.estimate), interval(one.low, one.high)) for one in scores)
        rows.append((named(ranked, family), *cells))
    columns = (
        Column("Family", numeric=False),
        *(Column(opened(ranked.words(*one)), "95 % interval") for one in wanted),
    )
    return (Table("Accuracy, specificity and sensitivity at the highest probability.", columns, tuple(rows)),)


def confusion(ranked: Ranked) -> Section | None:
    """Return a confusion matrix for each family, rows as shares of the true class."""
    frame = _curves(ranked, "confusion")
    if frame.is_empty():
        return None
    matrices = tuple(_matrix(ranked, family, frame) for family in _present(ranked, frame))
    caption = (
        "Confusion matrices. Rows are the true class, columns the class called; each cell gives the share of its row "
        "and below it the count, summed over folds and averaged over seeds and repeats."
    )
    return Section("confusion", "What is mistaken for what", (Panels(caption, matrices, wide=True),))


def roc(ranked: Ranked) -> Section | None:
    """Return the ROC curves, one panel a class with all families in it."""
    frame = _curves(ranked, "roc")
    if frame.is_empty():
        return None
    panels = []
    for label in _labels(ranked, frame):
        part = frame.filter(pl.col("label").eq_missing(label))
        lines = [_curve(ranked, family, part) for family in reversed(_present(ranked, part))]
        if lines:
            panels.append(plots.roc(_against(label), lines))
    caption = (
        "ROC curves on the test role with pointwise bands; the dotted diagonal is chance. "
        "A class stands against all others."
    )
    return Section("roc", "ROC curves", (Panels(caption, tuple(panels), _legend(ranked, _present(ranked, frame))),))


def precision_recall(ranked: Ranked) -> Section | None:
    """Return precision against recall, one panel a class with all families in it."""
    frame = _curves(ranked, "precision-recall")
    if frame.is_empty():
        return None
    panels = []
    for label in _labels(ranked, frame):
        part = frame.filter(pl.col("label").eq_missing(label))
        lines = [_curve(ranked, family, part) for family in reversed(_present(ranked, part))]
        if lines:
            panels.append(plots.precision_recall(_against(label), lines))
    caption = (
        "Precision against recall on the test role with pointwise bands. Unlike the ROC curve it depends on how "
        "frequent the class is here."
    )
    legend = _legend(ranked, _present(ranked, frame))
    return Section("precision-recall", "Precision and recall", (Panels(caption, tuple(panels), legend),))


def decision_curves(ranked: Ranked) -> Section | None:
    """Return what deciding by each family would bring at any threshold."""
    frame = _curves(ranked, "decision")
    if frame.is_empty():
        return None
    panels = []
    for label in _labels(ranked, frame):
        part = frame.filter(pl.col("label").eq_missing(label))
        lines = [_curve(ranked, family, part) for family in reversed(_present(ranked, part))]
        everybody = part.filter(pl.col("family") == TREAT_ALL).sort("x").select("x", "y", "low", "high").rows()
        if lines:
            all_of_them = Curve(TREAT_ALL, lines[0].look, everybody) if everybody else None
            panels.append(plots.net_benefit(_against(label), lines, all_of_them))
    caption = (
        "Decision curves: hits less false alarms, these at the odds of the threshold, per "
        f"{ranked.unit}. A family helps where it lies above the dotted line (everybody is called) and above zero "
        "(nobody is). Read it at the thresholds that somebody would act on; csv/curves.csv holds the bounds."
    )
    legend = _legend(ranked, _present(ranked, frame))
    return Section("decision-curves", "Would acting on it help?", (Panels(caption, tuple(panels), legend),))


def calibration(ranked: Ranked) -> Section | None:
    """Return how far stated probabilities agree with what was observed, one panel a family."""
    frame = _curves(ranked, "calibration")
    if frame.is_empty():
        return None
    positive = positive_of(ranked.content.task)
    shown = positive if positive in _labels(ranked, frame) else None
    part = frame.filter(pl.col("label").eq_missing(pl.lit(shown, dtype=pl.String)))
    if part.is_empty():
        return None
    of_what = f"the probability of {shown}" if shown else "the highest probability"
    panels = tuple(plots.calibration(_curve(ranked, family, part)) for family in _present(ranked, part))
    caption = (
        f"Calibration of {of_what}: on the diagonal, a stated 0.8 comes true 80 times in 100. Bars are 95 % intervals."
    )
    return Section("calibration", "Can the probabilities be believed?", (Panels(caption, panels),))


def learning(ranked: Ranked) -> Section | None:
    """Return the learning curves, one panel a family that learns by epochs."""
    content = ranked.content
    best = content.trials.select("trial", "family", "best_epoch")
    frame = content.history.join(best, on="trial", how="inner", maintain_order="left").sort("trial", "epoch")
    if frame.is_empty():
        return None
    panels = tuple(
        plots.learning(family, ranked.looks[family], _runs(frame.filter(pl.col("family") == family)), "metric")
        for family in _present(ranked, frame)
    )
    caption = (
        "Learning curves, a thin line for each trial: training loss above, the metric that chooses the epoch below, "
        "on valid. The mark is the epoch that was kept. Families that do not learn by epochs have no panel."
    )
    return Section("learning", "How they learnt", (Panels(caption, panels),))


def _bars(ranked: Ranked, metric: str) -> Panels:
    panels = tuple(
        plots.bars(
            label,
            [(family, ranked.score(family, metric, label), ranked.looks[family]) for family in ranked.scored],
            ranked.words(metric, label) if len(label) < 16 else metric,
        )
        for label in ranked.classes
    )
    entry = METRICS.get(metric)
    return Panels(f"{opened(entry.label)} by class and family, with 95 % intervals: {entry.summary}.", panels)


def _numbers(ranked: Ranked, metric: str) -> Table:
    columns = (Column("Family", numeric=False), *(Column(label) for label in ranked.classes))
    rows = []
    for family in ranked.families:
        scores = [ranked.score(family, metric, label) for label in ranked.classes]
        rows.append(
            (named(ranked, family), *(Cell(share(one.estimate), interval(one.low, one.high)) for one in scores))
        )
    notes = ranked.reasons((metric,), by_class=True)
    entry = METRICS.get(metric)
    return Table(f"{opened(entry.label)} by class: {entry.summary}.", columns, tuple(rows), notes)


def _positive(ranked: Ranked) -> tuple[Prose, ...]:
    positive = positive_of(ranked.content.task)
    if positive is None:
        return ()
    other = next((label for label in ranked.classes if label != positive), "the other class")
    sentence = (
        f"The positive class is {positive}: its recall is the sensitivity and its precision the positive predictive "
        f"value; the recall of {other} is the specificity."
    )
    return (Prose((sentence,)),)


def _matrix(ranked: Ranked, family: str, frame: pl.DataFrame) -> Table:
    part = frame.filter(pl.col("family") == family)
    counts = {(true, called): n for true, called, n in part.select("label", "predicted", "y").iter_rows()}
    rows = []
    for true in ranked.classes:
        row = [counts.get((true, called)) or 0.0 for called in ranked.classes]
        total = sum(row)
        cells = [Cell(percent(n / total), count(n), shade=n / total) if total else Cell("–", "0") for n in row]
        rows.append((Cell(true), *cells))
    columns = (Column("True \\ called", numeric=False), *(Column(called) for called in ranked.classes))
    return Table(family, columns, tuple(rows))


def _labels(ranked: Ranked, frame: pl.DataFrame) -> tuple[str | None, ...]:
    """Return which panels to draw: of the positive class alone, else of each class, and of all (None) where drawn."""
    positive, there = positive_of(ranked.content.task), set(frame["label"].to_list())
    if positive is not None and positive in there:
        return (positive,)
    return tuple(label for label in (*ranked.classes, None) if label in there)


def _curves(ranked: Ranked, kind: str) -> pl.DataFrame:
    return ranked.content.curves.filter(pl.col("curve") == kind)


def _present(ranked: Ranked, frame: pl.DataFrame) -> list[str]:
    there = set(frame["family"].to_list())
    return [family for family in ranked.families if family in there]


def _curve(ranked: Ranked, family: str, frame: pl.DataFrame) -> Curve:
    rows = frame.filter(pl.col("family") == family, pl.col("x").is_not_null()).sort("x", maintain_order=True)
    return Curve(family, ranked.looks[family], rows.select("x", "y", "low", "high").rows())


def _runs(frame: pl.DataFrame) -> list[Run]:
    return [
        Run(
            [(float(epoch), value) for epoch, value in part.select("epoch", "loss").iter_rows()],
            [(float(epoch), value) for epoch, value in part.select("epoch", "valid_metric").iter_rows()],
            part["best_epoch"][0],
        )
        for part in frame.partition_by("trial", maintain_order=True)
    ]


def _legend(ranked: Ranked, families: Iterable[str]) -> tuple[tuple[Markup, str], ...]:
    return tuple((ranked.looks[family].key(), family) for family in families)


def _against(label: str | None) -> str:
    return "all classes" if label is None else label
