"""The methods paragraph: what was done, in sentences that the record bears out, for authors to start from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from grandrounds.evaluate.catalogue import positive_of
from grandrounds.evaluate.contrast import decisive
from grandrounds.report.blocks import Prose, Section
from grandrounds.report.ranked import Ranked
from grandrounds.report.rounding import count, listed
from grandrounds.wording import percent

_WHAT = "For the methods section of a paper. Each sentence comes from the record; what only you know is missing."


def methods(ranked: Ranked) -> Section:
    """Return the methods of this study in words."""
    return Section("methods", "Methods, in words", (Prose((_WHAT,)), Prose((" ".join(sentences(ranked)),))))


def sentences(ranked: Ranked) -> tuple[str, ...]:
    """Return every sentence that the record bears out."""
    tell = (cohort, split, preparation, families, training, evaluation, software)
    parts = (one(ranked) for one in tell)
    return tuple(part for part in parts if part)


def cohort(ranked: Ranked) -> str:
    """Return how many images of whom, and what was to be told; empty where no table says it."""
    content = ranked.content
    rows = content.predictions if content.samples.is_empty() else content.samples
    if rows.is_empty():
        return ""
    people = (
        f" of {count(rows['patient'].n_unique())} patients"
        if content.patient_known
        else ", whose patients are unknown,"
    )
    task = content.task.condition or content.task.name
    positive = positive_of(content.task)
    shown = f"{listed(list(ranked.classes))}{f', of which {positive} is the positive class' if positive else ''}"
    return f"{count(rows['sample'].n_unique())} images{people} were read for {task} ({shown})."


def split(ranked: Ranked) -> str:
    """Return how cases were divided."""
    content = ranked.content
    record, spec = content.split_record, content.split_record.get("spec")
    if not record or not isinstance(spec, Mapping):
        return ""
    n_folds = content.splits.select("repeat", "fold").n_unique()
    group = "by patient" if spec.get("group") == "patient" else "by image, so that a patient may stand on two sides"
    if ranked.scheme == "official":
        return f"The official division into train, valid and test that comes with the data was used.{_apart(spec)}"
    folds = ranked.scheme in ("kfold", "inside")
    times = f"into {n_folds} folds, each of which is test once" if folds else "once"
    again = f", {count(spec['repeats'])} times over" if spec.get("repeats", 1) > 1 else ""
    closed = " outside of the official test role, which stayed closed," if ranked.scheme == "inside" else ""
    return f"Cases{closed} were divided {group} {times}{again}, from the seed {record.get('seed')}.{_apart(spec)}"


def _apart(spec: Mapping[str, Any]) -> str:
    """Return what was set apart to recalibrate probabilities; nothing where nothing was."""
    share = spec.get("calib")
    if not isinstance(share, float):
        return ""
    return f" Of train {percent(share)} were set apart to recalibrate probabilities."


def preparation(ranked: Ranked) -> str:
    """Return the steps before training."""
    steps = [_step(step) for stage in ("whole", "each") for step in _study(ranked).get("prepare", {}).get(stage, ())]
    return f"Each image was prepared alone by: {', '.join(steps)}." if steps else ""


def families(ranked: Ranked) -> str:
    """Return whose answers were judged, where nobody knows how they were trained; else `training` names them."""
    if _study(ranked).get("recipes") or not ranked.families:
        return ""
    return f"{'Compared were' if len(ranked.families) > 1 else 'Judged was'} {listed(list(ranked.families))}."


def training(ranked: Ranked) -> str:
    """Return what was trained, how often and within what budget; empty where that is not on record."""
    study, recipes = _study(ranked), _study(ranked).get("recipes", ())
    if not recipes:
        return ""
    budget = study.get("means", {}).get("budget_s")
    n_seeds = study.get("seeds", 1)
    shared = f" within {count(budget)} s of training, shared equally" if budget else ""
    epochs = ", ".join(f"{one['family']} {one['epochs']}" for one in recipes if one.get("epochs"))
    passes = f" Passes over the training images: {epochs}." if epochs else ""
    names = [one["family"] for one in recipes]
    return (
        f"{listed(names)} {'were' if len(names) > 1 else 'was'} trained on the same cases{shared}, with {n_seeds} "
        f"seed{'s' if n_seeds > 1 else ''} a fold; the epoch and the settings were chosen on valid.{passes}"
    )


def evaluation(ranked: Ranked) -> str:
    """Return the metric, the intervals, and how families were compared."""
    content = ranked.content
    judge = _study(ranked).get("judge", {})
    unit = "patients" if content.patient_known else "images, since patients are unknown"
    draws = f"{count(judge['resamples'])} " if "resamples" in judge else ""
    first = (
        f"The primary metric was {ranked.words(content.primary)}; differences within ±{content.margin:g} were declared "
        f"to be of no account. Intervals (95 %) come from {draws}bootstrap draws of {unit}, those of values with two "
        "ends on the log odds with Student's t, and of means over classes or tasks from those of their parts (Zou, "
        "Statistics in Medicine 28:1319, 2009)."
    )
    methods_used = decisive(content.comparisons)["method"].drop_nulls().unique(maintain_order=True).to_list()
    if not methods_used:
        return first
    return (
        f"{first} Families were compared in pairs on the same draws, by percentiles expanded for the number of "
        "patients (Hesterberg, The American Statistician 69:371, 2015), adjusted for the number of pairs by Holm's "
        "procedure."
    )


def software(ranked: Ranked) -> str:
    """Return the versions of what trained and judged; of predictions that others made, of what judged."""
    record = ranked.content.record
    packages = record.get("packages")
    if not isinstance(packages, Mapping):
        return ""
    names = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    versions = f"Python {record.get('python', 'of unknown version')}, {names}."
    if ranked.content.study_toml:
        return f"Software: {versions}"
    return f"Judged with: {versions} What made the predictions is not on record."


def _study(ranked: Ranked) -> dict[str, Any]:
    """Return the resolved study; empty where none came along."""
    try:
        return tomllib.loads(ranked.content.study_toml)
    except tomllib.TOMLDecodeError:
        return {}


def _step(step: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in step.items() if name != "step")
    return f"{step.get('step', '?')} ({settings})" if settings else str(step.get("step", "?"))


def imbalance(ranked: Ranked) -> str:
    """Return what the families said of class imbalance."""
    parts = said(ranked, "class weights")
    return f"The families said: {'; '.join(parts)}." if parts else ""


def said(ranked: Ranked, *words: str) -> tuple[str, ...]:
    """Return the parts of the trials' notes that hold one of some words, each once."""
    notes = ranked.content.trials["note"].drop_nulls().unique(maintain_order=True)
    parts = dict.fromkeys(part.strip() for note in notes for part in note.split(";"))
    return tuple(part for part in parts if any(word in part for word in words))


def folds(ranked: Ranked) -> Iterator[str]:
    """Yield how many patients stand in each role of the first fold."""
    rows = ranked.content.splits
    if rows.is_empty():
        return
    first = rows.filter((pl.col("repeat") == rows["repeat"][0]) & (pl.col("fold") == rows["fold"][0]))
    for (role,), part in first.group_by("role", maintain_order=True):
        yield f"{role} {count(part['case'].n_unique())}"
