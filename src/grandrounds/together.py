"""Several tasks on the same images: from what there is to say of each to what there is to say of all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from grandrounds import specs, tables
from grandrounds.errors import BadData, BadSpec, Refusal
from grandrounds.evaluate.answering import answer
from grandrounds.evaluate.ratings import Scale, undefined
from grandrounds.evaluate.several import all_tasks
from grandrounds.report import gather
from grandrounds.report.content import ReportContent
from grandrounds.report.rounding import listed
from grandrounds.seeds import derive
from grandrounds.study.spec import JudgeSpec, Study

_WRITTEN = ("scores", "intervals", "comparisons", "decisions", "suspects", "findings", "readers")

_SHIPPED = (
    "Each task was trained in a run of its own, which ships its own family in its folder model/. What ships over all "
    "tasks is the family to take where one is wanted for all of them."
)

_ONE_SPLIT = "All tasks are on one split: a patient has the same role in each, whatever is known of her."


def runs(folders: Sequence[Path], out: Path) -> ReportContent:
    """Write the tables of finished runs of one task each, and return what a page over all of them shows.

    Args:
        folders: Run folders of studies on the same images, judged in the same way.
        out: Folder for the tables.

    Raises:
        BadData: A run is not finished, or two have a task of one name.
        BadSpec: The studies declared other metrics, margins or the like.
    """
    each = [gather.gather(folder) for folder in folders]
    heading = title([folder.resolve().name for folder in folders], len(each))
    return keep(replace(_of_runs(folders, each), title=heading), out)


def of_study(
    folders: Sequence[Path], out: Path, name: str, links: tuple[tuple[str, str], ...], failed: tuple[str, ...] = ()
) -> ReportContent:
    """Write the tables of a study of several tasks, and return what its page shows; see `runs`.

    Args:
        folders: The finished run of each task.
        out: The folder of the study.
        name: Of the study.
        links: To the report of each task.
        failed: What went wrong with tasks that are not on the page.
    """
    each = [gather.gather(folder) for folder in folders]
    content = _of_runs(folders, each)
    notes = (*failed, _ONE_SPLIT, *content.notes)
    samples = each[0].samples  # the same in every task
    return keep(replace(content, title=title([name], len(each)), links=links, notes=notes, samples=samples), out)


def _of_runs(folders: Sequence[Path], each: Sequence[ReportContent]) -> ReportContent:
    names = [one.task.name for one in each]
    if len(set(names)) < len(names):
        raise BadData(
            f"two runs have a task of one name: {', '.join(names)}",
            remedy="give each study a task of its own: grandrounds run DATA --task NAME",
        )
    first, *others = (specs.read(Study, folder / "study.toml") for folder in folders)
    for folder, study in zip(folders[1:], others, strict=True):
        if study.judge != first.judge:
            raise BadSpec(
                "the studies are judged in different ways", where=f"{folders[0]} and {folder}",
                remedy="declare the same metric, margin and resamples in both: [judge] in their study.toml",
            )  # fmt: skip
    content = together(each, first.judge, seed=derive(first.seed, "bootstrap"))
    return replace(content, notes=(_SHIPPED, *content.notes))


def together(
    each: Sequence[ReportContent], ask: JudgeSpec, *, seed: int = 0, scales: Sequence[Mapping[str, Scale]] = (),
    readers: Collection[str] = (),
) -> ReportContent:  # fmt: skip
    """Return what there is to say of several tasks: the answer on their mean, and each task.

    Args:
        each: What there is to say of each.
        ask: How families are compared.
        seed: Of the draws.
        scales: For each task the scale on which a family speaks; none where all state probabilities.
        readers: Families that are human readers.
    """
    tasks, known = [one.task for one in each], all(one.patient_known for one in each)
    floors = tuple(dict.fromkeys(family for one in each for family in one.floors))
    content = ReportContent(
        title="", task=all_tasks(tasks), n_tasks=len(each), tasks=tuple(_named(one, len(each)) for one in each),
        primary=ask.primary, margin=ask.margin, patient_known=known, floors=floors,
        predictions=pl.concat([one.predictions for one in each], how="diagonal"),
        watermarks=tuple(dict.fromkeys(words for one in each for words in one.watermarks)),
        assumptions=gather.assumptions(patient_known=known),
    )  # fmt: skip
    try:
        outcome, decision = answer(
            content.predictions, tasks, pl.concat([one.trials for one in each]), floors, seed=seed,
            patient_known=known, readers=readers, **ask.model_dump(exclude={"decide", "slices"}),
        )  # fmt: skip
    except Refusal as error:  # each task stands for itself all the same
        return replace(content, verdict_sentences=(f"The mean over the tasks cannot be estimated: {error.what}.",))
    scores = outcome.scores.filter(task=content.task.name)
    for scale in scales:
        scores = undefined(scores, scale)
    return replace(
        content, verdict_sentences=decision.sentences, ships=decision.ships, scores=scores,
        comparisons=outcome.comparisons, notes=outcome.notes,
    )  # fmt: skip


def title(names: Sequence[str], n_tasks: int) -> str:
    """Return the heading of a page about what has these names."""
    return f"{listed(list(names))}: which family reads {f'the {n_tasks} tasks' if n_tasks > 1 else 'it'} best?"


def keep(content: ReportContent, out: Path) -> ReportContent:
    """Write the tables of a report, and return its content as it is."""
    told = [one.task.model_dump() for one in content.tasks]
    for name in _WRITTEN:
        frame = content.table(name)
        if name != "readers" or not frame.is_empty():
            meta = {"tasks": told} if told else {"task": content.task.model_dump()}
            tables.write(frame, tables.SCHEMAS[name], out / f"{name}.parquet", meta)
    return content


def _named(one: ReportContent, n_tasks: int) -> ReportContent:
    """Return what is said of one of several tasks, its findings with its name."""
    return replace(one, n_tasks=n_tasks, findings=one.findings.with_columns(task=pl.lit(one.task.name)))
