"""The model card: what ships, for whom, learned from whom, how good it is, and under which licences.

Reference: Mitchell et al., Model cards for model reporting, FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from grandrounds.evaluate.catalogue import METRICS
from grandrounds.report import markdown, methods
from grandrounds.report.blocks import Cell, Column, Prose, Section, Table
from grandrounds.report.content import ReportContent
from grandrounds.report.ranked import Ranked
from grandrounds.report.results import named
from grandrounds.report.rounding import count, interval, listed, opened, share
from grandrounds.wording import percent

WARNING = "Research software; not a medical device. It is for comparing classifiers, not for deciding about patients."
_NOT_FOR = """\
Not for images of another kind, part of the body or way of imaging than those below: it answers for those too.
Not tested where it was not tried: another hospital, scanner or share of classes; try it with `grandrounds evaluate`.
"""
_STRANGE = (
    "It says so, too, where a picture shows something else. Tried on what it was never meant for, it found so: {}; of "
    "images like those of training 1 in 100."
)
_KIND = ("modality", "body_part")


class Shipped(NamedTuple):
    """What ships, as far as the tables do not tell.

    Args:
        summary: What the family is, in a line.
        reference: Where it comes from.
        shape: (C, H, W) or (C, D, H, W) of a prepared image.
        calibration: How probabilities are recalibrated, in a word; `"none"` for not at all.
        thresholds: Rule, class, and from which probability on the class is called.
        weights: Licences of published weights that it started from.
        envelope: What its images were like, in a sentence; None where nobody knows.
        strange: Share that it finds unlike those of training, of each kind of image that is meant for nobody.
        data: Licence of the images that it learned from; None where nobody says.
    """

    summary: str
    reference: str
    shape: Sequence[int]
    calibration: str
    thresholds: Sequence[tuple[str, str, float]]
    weights: Sequence[str]
    envelope: str | None
    strange: Mapping[str, float]
    data: str | None


def card(content: ReportContent, family: str, shipped: Shipped) -> str:
    """Return the model card as Markdown."""
    ranked = Ranked.of(content)
    parts = (
        Section("what", "What it is", (Prose(tuple(_what(ranked, family, shipped)), listed=True),)),
        Section("use", "What it is for", (Prose(tuple(_use(ranked, shipped)), listed=True),)),
        Section("data", "What it learned from, and was tried on", (Prose(tuple(_data(ranked, shipped)), listed=True),)),
        Section("scores", "How good it is", (_scores(ranked, family), Prose(_told(content, family), listed=True))),
        Section("thresholds", "From where on it calls", tuple(_thresholds(ranked, shipped))),
        Section("findings", "What the audits found", (Prose(tuple(_findings(ranked)), listed=True),)),
        Section("licences", "Licences", (Prose(tuple(_licences(shipped)), listed=True),)),
        Section("record", "Where it comes from", (Prose(tuple(_record(ranked)), listed=True),)),
    )
    head = (f"# {markdown.escape(f'Model card: {family}')}", *(f"**{markdown.escape(one)}**" for one in _loud(content)))
    return "\n\n".join((*head, *(markdown.section(one) for one in parts))) + "\n"


def _loud(content: ReportContent) -> tuple[str, ...]:
    return (*content.watermarks, WARNING)


def _what(ranked: Ranked, family: str, shipped: Shipped) -> Iterator[str]:
    yield f"`{family}`: {shipped.summary}."
    yield f"Reference: {shipped.reference}."
    trials = ranked.content.trials.filter(pl.col("family") == family)
    yield from dict.fromkeys(f"{opened(note)}." for note in trials["note"].drop_nulls().head(1))
    yield from (one for one in ranked.content.notes if "What ships" in one)


def _use(ranked: Ranked, shipped: Shipped) -> Iterator[str]:
    task = ranked.content.task
    asked = task.condition or task.name
    yield f"It states a probability of each of {listed(list(task.classes))} ({asked}) for every {ranked.unit}."
    axes = "channels, slices, rows, columns" if len(shipped.shape) == 4 else "channels, rows, columns"
    prepared = methods.preparation(ranked) or "Images are read as they are."
    yield f"{prepared} The model then reads {'×'.join(map(str, shipped.shape))} ({axes})."
    yield from _NOT_FOR.splitlines()


def _data(ranked: Ranked, shipped: Shipped) -> Iterator[str]:
    yield from filter(None, (methods.cohort(ranked), methods.split(ranked)))
    first = list(methods.folds(ranked))
    if first:
        yield f"Cases of the first fold: {', '.join(first)}."
    samples = ranked.content.samples
    for name in _KIND:
        known = samples[name].drop_nulls().unique().sort().to_list() if name in samples.columns else []
        yield f"{opened(name.replace('_', ' '))}: {', '.join(known) if known else 'not recorded'}."
    if not samples.is_empty():
        n_sites = samples["site"].n_unique() - (samples["site"].null_count() > 0)
        yield f"Sites: {count(n_sites) if n_sites else 'not recorded'}."
    if shipped.envelope is not None:
        yield shipped.envelope
    if shipped.strange:
        found = [f"{percent(part)} of {name}" for name, part in shipped.strange.items()]
        yield _STRANGE.format("; ".join(found))
    yield from (one for one in (*ranked.content.split_notes, *ranked.content.notes) if "What ships" not in one)


def _scores(ranked: Ranked, family: str) -> Table:
    """Return every score of the family beside the best of the floors."""
    floor = next((one for one in ranked.scored if one in ranked.content.floors), None)
    shown = [family, *([floor] if floor and floor != family else [])]
    asked: list[tuple[str, str | None]] = [(entry.name, None) for entry in METRICS if ranked.has(entry.name)]
    positive = ranked.content.task.positive
    by_class = [positive] if positive else list(ranked.classes)
    asked += [("recall", one) for one in by_class if ranked.has("recall", by_class=True)]
    asked.sort(key=lambda one: one != (ranked.content.primary, None))
    rows = tuple((Cell(opened(ranked.words(*one))), *(_value(ranked, who, *one) for who in shown)) for one in asked)
    columns = (Column("Metric", numeric=False), *(Column(named(ranked, one).text, "95 % interval") for one in shown))
    caption = f"On {ranked.tested_on}, one value per {ranked.unit}"
    return Table(f"{caption}; beside it the best of the floors." if len(shown) > 1 else f"{caption}.", columns, rows)


def _told(content: ReportContent, family: str) -> tuple[str, ...]:
    """Return what the verdict says of the family, and what the intervals take for granted."""
    return (*(one for one in content.verdict_sentences if f"`{family}`" in one), *content.assumptions)


def _value(ranked: Ranked, family: str, metric: str, label: str | None) -> Cell:
    score = ranked.score(family, metric, label)
    return Cell(share(score.estimate), interval(score.low, score.high))


def _thresholds(ranked: Ranked, shipped: Shipped) -> Iterator[Table | Prose]:
    mended = f"recalibrated ({shipped.calibration})"
    stated = "as the model states them" if shipped.calibration == "none" else mended
    yield Prose((f"Probabilities are {stated}. Without a threshold the class with the greatest one is called.",))
    if shipped.thresholds:
        columns = (Column("Rule", numeric=False), Column("Class", numeric=False), Column("From", "probability"))
        rows = tuple((Cell(opened(rule)), Cell(label), Cell(share(at))) for rule, label, at in shipped.thresholds)
        yield Table(f"Thresholds, set on cases other than test; per {ranked.unit}.", columns, rows)


def _findings(ranked: Ranked) -> Iterator[str]:
    found = ranked.content.findings.filter(pl.col("outcome") == "finding")
    yield from (f"{audit} {title}: {sentence}" for audit, title, sentence in
                found.select("audit", "title", "sentence").iter_rows())  # fmt: skip
    if found.is_empty():
        yield "Nothing; what was checked stands in the report."


def _licences(shipped: Shipped) -> Iterator[str]:
    started = f"published weights under {listed(list(shipped.weights))}; that licence stays with it"
    yield f"It started from {started if shipped.weights else 'no weights whose licence is known'}."
    yield f"Images that it learned from: {shipped.data or 'licence not stated; ask whoever gave them to you'}."
    yield "What both allow to be done with a model made of them is for its user to find out."


def _record(ranked: Ranked) -> Iterator[str]:
    record = ranked.content.record
    yield from filter(None, (methods.training(ranked), methods.evaluation(ranked), methods.software(ranked)))
    names = {"study": "Study", "dataset": "Dataset", "split": "Split"}
    prints = [f"{word} {record[name]}" for name, word in names.items() if record.get(name)]
    if prints:
        yield f"Fingerprints: {', '.join(prints)}."
